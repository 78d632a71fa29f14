"""Translates errors of the database. This is the only list of what is retried and what is parked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import asyncpg

from runtime.errors import EventRejected, StorageUnavailable

_RETRIED: Final = (
    "08",  # connection
    "53",  # out of memory, disk or connections
    "57P",  # shutdown, crash, starting up
    "57014",  # statement timeout or cancel
    "40001",  # serialisation
    "40P01",  # deadlock
    "55P03",  # lock timeout
    "25P03",  # idle in transaction
    "25006",  # read only: temporarily a standby
    "28",  # credentials being rotated
    "3D000",  # database not there yet
    "42P01",  # table not there yet: not migrated
    "42501",  # grants not there yet
    "58",  # I/O of the server
)
_PARKED: Final = ("22", "23", "54")  # data, constraints, limits such as the depth of JSON
_FIXES: Final = {
    "08P01": "a pooler may refuse the settings of our connections: let it pass them on, or connect to the server",
    "25006": "Postgres accepts no writes now: default_transaction_read_only is on, or it is a standby",
    "28": "Postgres refuses the login: check user and password in DATABASE_URL, and pg_hba.conf",
    "3D000": "Postgres has no database of the name in DATABASE_URL",
    "42P01": "a table is missing: run `analytics migrate up`",
    "42501": "the login of DATABASE_URL lacks this right: see `Logins` under `Deploy` in docs/operations.md",
    "53300": "Postgres has no connection left",
    "55P03": "another session holds a lock, or an older transaction is still open",
}
_CHECK_VIOLATION: Final = "23514"
_NO_RIGHT_STATE: Final = "42501"
NO_RIGHT: Final = "InsufficientPrivilege"
"""Reason of a call for which the login lacks a right."""


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Raise StorageUnavailable or EventRejected for errors of the driver in the block. Other errors pass unchanged."""
    try:
        yield
    except asyncpg.PostgresError as error:
        raise _translated(error) from error
    except asyncpg.InterfaceError as error:
        # a DataError is the driver's rejection of a value; the others concern the connection
        if isinstance(error, asyncpg.DataError):
            raise EventRejected("encoding", type(error).__name__) from error
        raise StorageUnavailable("connection", type(error).__name__) from error
    except asyncpg.TargetServerAttributeNotMatched as error:
        detail = "no server of DATABASE_URL is a primary that accepts writes"
        raise StorageUnavailable("no_primary", detail) from error
    except asyncpg.InternalClientError as error:
        # the driver's error for a session that the server ended between two statements
        raise StorageUnavailable("connection", type(error).__name__) from error
    except (UnicodeEncodeError, OverflowError) as error:
        raise EventRejected("encoding", type(error).__name__) from error
    except TimeoutError as error:
        raise StorageUnavailable("timeout", "Postgres did not answer in time") from error
    except OSError as error:
        cause = type(error).__name__
        raise StorageUnavailable("connection", f"Postgres cannot be reached at DATABASE_URL ({cause})") from error


@contextlib.contextmanager
def confined_refusals() -> Iterator[None]:
    """Raise StorageUnavailable for every error with which Postgres refuses a statement of the block, listed or not.

    For work whose failure must not stop the other work of its process.
    """
    try:
        yield
    except asyncpg.PostgresError as error:
        raise StorageUnavailable("refused", f"{_word(error)} ({error.sqlstate})") from error
    except EventRejected as error:
        raise StorageUnavailable("refused", f"{error.detail} ({error.code})") from error


def _translated(error: asyncpg.PostgresError) -> Exception:
    state = error.sqlstate or ""
    if state == _CHECK_VIOLATION and error.constraint_name is None:
        # A check without a name is a missing partition. Ids are range-checked when they are decoded, so the event is
        # valid and maintenance is late.
        return StorageUnavailable("missing_partition", "is the maintenance process running?")
    if state.startswith(_RETRIED):
        detail = _detail(state)
        # the message of a missing right names a table or function, and no value
        return StorageUnavailable(_word(error), f"{error}: {detail}" if state == _NO_RIGHT_STATE else detail)
    if state.startswith(_PARKED):
        # only the name of the error: the server's text may quote the value
        return EventRejected(state, _word(error))
    return error


def _detail(state: str) -> str:
    fix = next((fix for code, fix in _FIXES.items() if state.startswith(code)), "")
    return f"{fix} ({state})" if fix else state


def _word(error: asyncpg.PostgresError) -> str:
    return type(error).__name__.removesuffix("Error")

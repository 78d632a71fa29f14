"""Stores events on disk until they have a verdict: one SQLite database for all processes of a service.

The database contains raw learner ids. Only its owner can read it, and settled events are overwritten.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from copy import copy
from os import PathLike
from pathlib import Path
from typing import Any, Final

from .errors import ConfigurationError, StoreFailed
from .hooks import LOGGER
from .owned_files import open_owned, require_no_strangers, require_owned
from .stores import Lease, StoredEvent, within
from .suspicion import Suspicion

FILE_NAME: Final = "events.sqlite3"
PAGE_BYTES: Final = 4096
SECONDS_FOR_OTHERS: Final = 5.0
"""Timeout for the database lock, which other processes hold only briefly."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    body BLOB NOT NULL,
    maker TEXT NOT NULL,      -- process that put the event and waits for its verdict
    holder TEXT NOT NULL,     -- process that sends the event
    held_until REAL NOT NULL  -- end of its lease
);
CREATE TABLE IF NOT EXISTS suspects (
    key INTEGER PRIMARY KEY,   -- of an event that failed alone
    next_try REAL NOT NULL,
    tries INTEGER NOT NULL,
    strikes INTEGER NOT NULL,
    since REAL NOT NULL,
    settled INTEGER NOT NULL
);
CREATE TRIGGER IF NOT EXISTS no_suspect_without_event AFTER DELETE ON events
BEGIN DELETE FROM suspects WHERE key = OLD.key; END;
CREATE TABLE IF NOT EXISTS tally (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    settled INTEGER NOT NULL   -- number of settled events of all processes
);
CREATE TABLE IF NOT EXISTS dead_letters (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    body BLOB NOT NULL,
    reason TEXT NOT NULL,
    tries INTEGER NOT NULL,
    since REAL NOT NULL,
    set_aside_at REAL NOT NULL
);
"""

ROOM_FOR_RECORDS: Final = 256
"""Pages above the limit, for suspects and dead letters: one bad event must not block a full spool."""

_OTHERS: Final = """
SELECT key, body FROM events
WHERE (holder = :me OR held_until <= :now) AND key NOT IN (SELECT key FROM suspects)
"""
"""Events that can be leased, without suspects."""

_NEXT_SUSPECT: Final = """
SELECT key, body, tries, strikes, since, settled FROM events JOIN suspects USING (key)
WHERE (holder = :me OR held_until <= :now) AND next_try <= :now ORDER BY next_try LIMIT 1
"""

_FIRST_OF_OTHERS: Final = """
SELECT min(held_until) FROM events WHERE holder <> :me AND key NOT IN (SELECT key FROM suspects)
"""

_FIRST_SUSPECT: Final = """
SELECT min(max(next_try, CASE WHEN holder = :me THEN 0 ELSE held_until END)) FROM events JOIN suspects USING (key)
"""

_OURS: Final = """
SELECT EXISTS (SELECT 1 FROM events WHERE key <= ? AND (maker = ? OR holder = ? OR held_until <= ?))
"""
"""Excludes events that another process put and has leased."""


class Spool:
    """Stores events in a directory. A process sends its own events, and those whose lease of another has expired.

    The events of a killed process are therefore sent by another one, with the same ids.
    """

    def __init__(
        self,
        directory: str | PathLike[str],
        max_bytes: int,
        lease_seconds: float,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Raise ConfigurationError when the directory cannot store events."""
        self._newest = 0
        self._file = Path(directory) / FILE_NAME
        self._max_pages = max(max_bytes // PAGE_BYTES, 16)
        self._lease_seconds = lease_seconds
        self._name = secrets.token_hex(8)
        self._clock = wall_clock
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(open_owned(self._file, os.O_RDWR | os.O_CREAT))
            require_own_spool(self._file)
            with self._open() as connection, _beyond(connection, self._max_pages):
                connection.executescript(_SCHEMA)
        except (OSError, StoreFailed) as error:
            raise ConfigurationError(f"spool_dir cannot store events: {error}") from error

    def put(self, body: bytes) -> str | None:
        """Store an event. After the return it survives any end of the process."""
        try:
            with self._open() as connection:
                key = connection.execute(
                    "INSERT INTO events (body, maker, holder, held_until) VALUES (?, ?, ?, ?)",
                    (body, self._name, self._name, self._clock() + self._lease_seconds),
                ).lastrowid
        except StoreFailed as failure:
            return "spool_full" if getattr(failure.__cause__, "sqlite_errorname", "") == "SQLITE_FULL" else str(failure)
        self._newest = max(self._newest, key or 0)
        return None

    def lease(self, most: int, max_bytes: int) -> Lease:
        """Lease the oldest events."""
        now = self._clock()
        who = {"me": self._name, "now": now}
        with self._open() as connection, _transaction(connection):
            rows = connection.execute(f"{_OTHERS} ORDER BY key LIMIT :most", who | {"most": most + 1}).fetchall()
            found = within([StoredEvent(*row) for row in rows[:most]], max_bytes)
            self._hold(connection, [event.key for event in found], now)
            [until] = connection.execute(_FIRST_OF_OTHERS, who).fetchone()
            [next_try] = connection.execute(_FIRST_SUSPECT, who).fetchone()
        more_in = 0.0 if len(found) < len(rows) else _seconds(now, until)
        return Lease(found, more_in, _seconds(now, next_try))

    def lease_newest(self) -> StoredEvent | None:
        """Lease the newest event that is not a suspect."""
        return self._lease_one(f"{_OTHERS} ORDER BY key DESC LIMIT 1")

    def lease_suspect(self) -> StoredEvent | None:
        """Lease the suspect that is due first."""
        return self._lease_one(_NEXT_SUSPECT)

    def _lease_one(self, question: str) -> StoredEvent | None:
        now = self._clock()
        with self._open() as connection, _transaction(connection):
            row = connection.execute(question, {"me": self._name, "now": now}).fetchone()
            if row is None:
                return None
            self._hold(connection, [row[0]], now)
        return StoredEvent(row[0], row[1], Suspicion(*row[2:]) if row[2:] else None)

    def suspect(self, key: int, suspicion: Suspicion, seconds: float) -> None:
        """Mark an event as a suspect, for all processes and across restarts."""
        with self._open() as connection, _beyond(connection, self._max_pages), _transaction(connection):
            connection.execute(
                "INSERT OR REPLACE INTO suspects (key, next_try, tries, strikes, since, settled)"
                " SELECT key, ?, ?, ?, ?, ? FROM events WHERE key = ?",
                (self._clock() + seconds, *suspicion, key),
            )

    def set_aside(self, event: StoredEvent, reason: str) -> bool:
        """Move an event to the dead letters of the spool."""
        tries, since = (event.suspicion.tries, event.suspicion.since) if event.suspicion else (0, self._clock())
        with self._open() as connection, _beyond(connection, self._max_pages), _transaction(connection):
            if not connection.execute("DELETE FROM events WHERE key = ?", (event.key,)).rowcount:
                return False
            connection.execute(
                "INSERT INTO dead_letters (body, reason, tries, since, set_aside_at) VALUES (?, ?, ?, ?, ?)",
                (event.body, reason, tries, since, self._clock()),
            )
        return True

    @property
    def letters(self) -> str:
        """The directory."""
        return str(self._file.parent)

    @property
    def settled(self) -> int:
        """Number of events settled by all processes of the spool."""
        return int(self._ask("SELECT coalesce(max(settled), 0) FROM tally"))

    def settle(self, keys: Collection[int]) -> int:
        """Delete settled events."""
        with self._open() as connection, _transaction(connection):
            deletions = (connection.execute("DELETE FROM events WHERE key = ?", (key,)) for key in keys)
            deleted = sum(deletion.rowcount for deletion in deletions)
            connection.execute(
                "INSERT INTO tally (id, settled) VALUES (0, ?)"
                " ON CONFLICT (id) DO UPDATE SET settled = settled + excluded.settled",
                (deleted,),
            )
        return deleted

    def release(self, keys: Collection[int]) -> None:
        """Do nothing: the leases stay with this process until they expire."""

    @property
    def newest(self) -> int:
        """Key of the newest event of all processes."""
        try:
            return max(self._newest, int(self._ask("SELECT coalesce(max(key), 0) FROM events")))
        except StoreFailed:
            return self._newest

    def holds_through(self, key: int) -> bool:
        """Whether the database has an event up to the key that this process put, or that it may send."""
        try:
            return bool(self._ask(_OURS, key, self._name, self._name, self._clock()))
        except StoreFailed:
            return True

    def __len__(self) -> int:
        try:
            return int(self._ask("SELECT count(*) FROM events"))
        except StoreFailed:
            return 0

    def last_suspects(self) -> Sequence[StoredEvent]:
        """Return nothing: suspects stay in the spool."""
        return []

    def abandon(self) -> int:
        """End all leases and close the file. Loses no event."""
        try:
            with self._open() as connection:
                connection.execute("UPDATE events SET held_until = 0 WHERE holder = ?", (self._name,))
        except StoreFailed:
            LOGGER.warning("another process sends the events left in the spool after %s seconds", self._lease_seconds)
        self.hold_still()
        self.go_on()
        return 0

    def in_child(self) -> Spool:
        """Return a spool of the same file for a forked child. Opens the file at its first use."""
        child = copy(self)
        child._newest, child._name, child._lock = 0, secrets.token_hex(8), threading.RLock()
        return child

    def hold_still(self) -> None:
        """Close the file and block its use, because SQLite connections must not survive a fork."""
        self._lock.acquire()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def go_on(self) -> None:
        """Allow the use of the file again after `hold_still`."""
        self._lock.release()

    def _hold(self, connection: sqlite3.Connection, keys: Collection[int], now: float) -> None:
        connection.executemany(
            "UPDATE events SET holder = ?, held_until = ? WHERE key = ?",
            [(self._name, now + self._lease_seconds, key) for key in keys],
        )

    def _ask(self, question: str, *parameters: object) -> Any:
        with self._open() as connection:
            return connection.execute(question, parameters).fetchone()[0]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                yield self._connection
            except (sqlite3.Error, OSError) as error:
                raise StoreFailed("spool_failed") from error

    def _connect(self) -> sqlite3.Connection:
        require_own_spool(self._file)
        connection = sqlite3.connect(
            self._file, timeout=SECONDS_FOR_OTHERS, isolation_level=None, check_same_thread=False
        )
        try:
            for pragma in (
                "journal_mode = WAL",
                "synchronous = NORMAL",
                "secure_delete = ON",
            ):
                with closing(connection.execute(f"PRAGMA {pragma}")) as answer:
                    answer.fetchall()
            _limit(connection, self._max_pages)
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def require_own_spool(file: Path, also: Collection[int] = ()) -> None:
    """Validate the files of a spool, which SQLite opens by name. Raises OSError like `require_owned`."""
    require_no_strangers(file.parent)
    for suffix in ("", "-wal", "-shm", "-journal"):
        require_owned(file.with_name(file.name + suffix), also)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def _beyond(connection: sqlite3.Connection, pages: int) -> Iterator[None]:
    """Raise the size limit during the block, for records that must be written even when the spool is full."""
    _limit(connection, pages + ROOM_FOR_RECORDS)
    try:
        yield
    finally:
        _limit(connection, pages)


def _limit(connection: sqlite3.Connection, pages: int) -> None:
    with closing(connection.execute(f"PRAGMA max_page_count = {pages}")) as answer:
        answer.fetchall()


def _seconds(now: float, moment: float | None) -> float | None:
    return None if moment is None else max(moment - now, 0.0)

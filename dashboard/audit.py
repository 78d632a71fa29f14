"""Records every answer in the audit log before it is sent. Answers of the same moment share one commit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

from pydantic import TypeAdapter, ValidationError
from starlette.requests import HTTPConnection

from dashboard.access.authenticator import Authenticator, Caller, Learner
from dashboard.percent_encoding import is_readable
from dashboard.services import Services
from runtime.errors import DependencyUnavailable, StorageUnavailable
from schemas.envelope_fields import AskedUserId
from storage.privacy.audit import AuditEntry
from web.problems import Refusal

MAX_WAITING: Final = 10_000
"""Maximum entries that wait to be written. Further entries, and their answers, are refused."""
SPACING_SECONDS: Final = 0.005
"""Minimum time between the starts of two groups. Each group costs a commit."""
_USER_ID: Final = TypeAdapter(AskedUserId)


class AuditTrail:
    """Writes entries in groups. While one group is written, new entries form the next.

    After a pause an entry is written at once. Under load entries wait up to SPACING_SECONDS.
    """

    def __init__(self, write: Callable[[Sequence[AuditEntry]], Awaitable[None]]) -> None:
        """`write` returns once the entries are durable, or raises StorageUnavailable."""
        self._write = write
        self._gathered: list[AuditEntry] = []
        self._next: asyncio.Task[None] | None = None
        self._under_way: asyncio.Task[None] | None = None
        self._earliest = 0.0

    async def record(self, entry: AuditEntry) -> None:
        """Return once the entry is durable. Raises StorageUnavailable."""
        if len(self._gathered) >= MAX_WAITING:
            raise StorageUnavailable("audit_log_full", "too many entries wait to be written")
        self._gathered.append(entry)
        if self._next is None:
            self._next = asyncio.create_task(self._write_after(self._under_way), name="audit")
        # shielded: the cancellation of one request must not cancel the entries of others
        await asyncio.shield(self._next)

    async def _write_after(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._earliest - clock())
        self._earliest = clock() + SPACING_SECONDS
        group, self._gathered = self._gathered, []
        self._under_way, self._next = self._next, None
        await self._write(group)


@contextlib.asynccontextmanager
async def audit_refusals(
    services: Services, connection: HTTPConnection, caller: Caller, action: str
) -> AsyncIterator[None]:
    """Record a refusal or a defect of the block, then raise it again. Raises StorageUnavailable if that fails."""
    try:
        yield
    except Refusal as refusal:
        await record_audit(services, connection, caller, action, refusal.status)
        raise
    except DependencyUnavailable:
        await record_audit(services, connection, caller, action, HTTPStatus.SERVICE_UNAVAILABLE)
        raise
    # a defect may raise anything, and what a caller asked for is recorded all the same
    except Exception:
        await record_audit(services, connection, caller, action, HTTPStatus.INTERNAL_SERVER_ERROR)
        raise


async def record_audit(
    services: Services,
    connection: HTTPConnection,
    caller: Caller,
    action: str,
    status: HTTPStatus,
    span: Mapping[str, str] | None = None,
    shown: Sequence[bytes] = (),
) -> None:
    """Return once the answer of a request is recorded. Raises StorageUnavailable."""
    await services.audit.record(
        AuditEntry(
            at=services.clock(),
            actor=actor_of(caller),
            action=action,
            outcome=str(status.value),
            subject=_subject(services.authenticator, connection, caller),
            span=span or None,
            shown=shown,
        )
    )


def actor_of(caller: Caller) -> str:
    """Return the name of a caller in the log. It holds no raw user id and no secret."""
    if isinstance(caller, Learner):
        return f"learner:{caller.pseudonyms[0].hex()}"
    return f"key:{caller.key_id}" if caller.key_id else f"service:{caller.source}"


def _subject(authenticator: Authenticator, connection: HTTPConnection, caller: Caller) -> bytes | None:
    named = connection.path_params.get("user_id") or connection.query_params.get("user_id")
    # an id that cannot be decoded belongs to no learner
    if named is not None and is_readable(connection.scope.get("raw_path", b"") + connection.scope["query_string"]):
        try:
            return authenticator.pseudonyms(_USER_ID.validate_python(named))[0]
        except ValidationError:
            # no learner has such an id
            return None
    return caller.pseudonyms[0] if isinstance(caller, Learner) else None

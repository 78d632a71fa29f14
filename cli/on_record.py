"""Commands that read or change what is held on people leave an entry in the audit log."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from cli.database import connect
from cli.operator import operator
from runtime.clock import utc_now
from runtime.errors import StorageUnavailable
from runtime.settings import Settings
from storage.audit import AuditEntry, append_entries

Shown = Callable[[Sequence[bytes]], Awaitable[None]]


@contextlib.asynccontextmanager
async def on_record(
    settings: Settings, action: str, *, subject: bytes | None = None, span: Mapping[str, str] | None = None
) -> AsyncIterator[Shown]:
    """Record that the block was begun, then how it ended: what cannot be recorded is not done.

    The block is given a function that records whose events it is about to show. Raises StorageUnavailable.
    """
    retention = settings.audit_retention

    async def record(outcome: str, shown: Sequence[bytes] = ()) -> None:
        connection = await connect(settings.database_dsn, application_name="analytics-audit")
        try:
            entry = AuditEntry(utc_now(), operator(), action, outcome, subject=subject, span=span, shown=shown)
            await append_entries(connection, [entry], retention)
        finally:
            await connection.close()

    async def record_shown(learners: Sequence[bytes]) -> None:
        if learners:
            await record("shown", learners)

    await record("begun")
    try:
        yield record_shown
    except BaseException:
        # where even this cannot be written, that it was begun is on record
        with contextlib.suppress(StorageUnavailable):
            await record("failed")
        raise
    await record("done")

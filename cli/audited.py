"""Records commands that read or change personal data in the audit log."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from cli.database import connect
from cli.operator import current_operator
from runtime.clock import utc_now
from runtime.errors import StorageUnavailable
from runtime.settings import Settings
from storage.privacy.audit import AuditEntry, append_entries

RecordShown = Callable[[Sequence[bytes]], Awaitable[None]]


@contextlib.asynccontextmanager
async def audited(
    settings: Settings, action: str, *, subject: bytes | None = None, span: Mapping[str, str] | None = None
) -> AsyncIterator[RecordShown]:
    """Record the start of the block, run it, and record how it ended.

    The block does not run when its start cannot be recorded. It receives a function that records whose events it is
    about to show. Raises StorageUnavailable.
    """

    async def record_audit(outcome: str, shown: Sequence[bytes] = ()) -> None:
        connection = await connect(settings.database_dsn, application_name="analytics-audit")
        try:
            entry = AuditEntry(utc_now(), current_operator(), action, outcome, subject=subject, span=span, shown=shown)
            await append_entries(connection, [entry], settings.audit_retention)
        finally:
            await connection.close()

    async def record_shown(learners: Sequence[bytes]) -> None:
        if learners:
            await record_audit("shown", learners)

    await record_audit("begun")
    try:
        yield record_shown
    except BaseException:
        # the start is recorded; the error of the block matters more than a failure to record its end
        with contextlib.suppress(StorageUnavailable):
            await record_audit("failed")
        raise
    await record_audit("done")

"""Records commands that read or change personal data in the audit log."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from cli.database import open_database
from cli.operator import current_operator
from runtime.clock import utc_now
from runtime.errors import StorageUnavailable
from runtime.settings import Settings
from storage.privacy.audit import AuditEntry, append_entries

RecordShown = Callable[[Sequence[bytes]], Awaitable[None]]
"""Takes the pseudonyms of the learners whose events are about to be shown."""


@contextlib.asynccontextmanager
async def audited(
    settings: Settings, action: str, *, subject: bytes | None = None, span: Mapping[str, str] | None = None
) -> AsyncIterator[RecordShown]:
    """Record the start of the block, run it, and record how it ended.

    The block does not run when its start cannot be recorded. It receives a function that records whose events it
    shows. Raises StorageUnavailable.
    """

    async def record_audit(outcome: str, shown: Sequence[bytes] = ()) -> None:
        entry = AuditEntry(utc_now(), current_operator(), action, outcome, subject=subject, span=span, shown=shown)
        async with open_database(settings, "analytics-audit") as connection:
            await append_entries(connection, [entry], settings.audit_retention)

    async def record_shown(learners: Sequence[bytes]) -> None:
        if learners:
            await record_audit("shown", learners)

    await record_audit("begun")
    try:
        yield record_shown
    except BaseException:
        # the start is recorded; the error of the block must not be replaced by that of this entry
        with contextlib.suppress(StorageUnavailable):
            await record_audit("failed")
        raise
    await record_audit("done")

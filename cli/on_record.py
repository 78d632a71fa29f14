"""Commands that read or change what is held on people leave an entry in the audit log."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import AsyncIterator, Mapping

from cli.database import connect
from runtime.clock import utc_now
from runtime.errors import StorageUnavailable
from runtime.settings import Settings
from storage.audit import AuditEntry, append_entries


def operator() -> str:
    """Return whose command it is, as the log names them."""
    return f"operator:{getpass.getuser()}"


@contextlib.asynccontextmanager
async def on_record(
    settings: Settings, action: str, *, subject: bytes | None = None, span: Mapping[str, str] | None = None
) -> AsyncIterator[None]:
    """Record that the block was begun, then how it ended: what cannot be recorded is not done.

    Raises StorageUnavailable.
    """
    retention = settings.audit_retention

    async def record(outcome: str) -> None:
        connection = await connect(settings.database_dsn, application_name="analytics-audit")
        try:
            entry = AuditEntry(utc_now(), operator(), action, outcome, subject=subject, span=span)
            await append_entries(connection, [entry], retention)
        finally:
            await connection.close()

    await record("begun")
    try:
        yield
    except BaseException:
        # where even this cannot be written, that it was begun is on record
        with contextlib.suppress(StorageUnavailable):
            await record("failed")
        raise
    await record("done")

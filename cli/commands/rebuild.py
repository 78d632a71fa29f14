"""`analytics rebuild`: recomputes aggregates that drifted, while ingest and reads go on."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from cli.audited import audited
from cli.commands.verify import drift_as_json, show_drifts
from cli.database import connect
from cli.local.dev_file import DATA_DIR, DataDir, settings_of
from cli.output import note, show_json
from runtime.clock import utc_now
from runtime.settings import Settings
from storage.batches.rebuild import rebuild_aggregates
from storage.batches.verify import TableDrift


def rebuild(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Recompute from the raw events every aggregate that differs from them, and say what differed."""
    found = asyncio.run(_rebuild(settings_of(data_dir)))
    rebuilt = [drift for drift in found if not drift.is_clean]
    if as_json:
        document = {"rebuilt": [drift.table for drift in rebuilt], "found": [drift_as_json(drift) for drift in found]}
        show_json(document)
    elif rebuilt:
        show_drifts(rebuilt)
        note(f"{len(rebuilt)} aggregates rebuilt")
    else:
        note("no aggregate had drifted; nothing was changed")


async def _rebuild(settings: Settings) -> list[TableDrift]:
    async with audited(settings, "rebuild"):
        connection = await connect(settings.database_dsn, application_name="analytics-rebuild")
        try:
            return await rebuild_aggregates(connection, utc_now(), settings.system_metrics_retention)
        finally:
            await connection.close()

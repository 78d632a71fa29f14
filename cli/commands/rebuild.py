"""`analytics rebuild`: recomputes aggregates that drifted, while ingest and reads continue."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from cli.audited import audited
from cli.commands.verify import render_drift, show_drifts
from cli.database import open_database
from cli.local.dev_file import DATA_DIR, DataDir, resolve_settings
from cli.output import note, show_json
from runtime.clock import utc_now
from runtime.settings import Settings
from storage.batches.rebuild import rebuild_aggregates
from storage.batches.verify import TableDrift


def rebuild(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Recompute every aggregate that differs from the raw events, and report the differences."""
    found = asyncio.run(_rebuild(resolve_settings(data_dir)))
    rebuilt = [drift for drift in found if not drift.is_clean]
    if as_json:
        document = {"rebuilt": [drift.table for drift in rebuilt], "found": [render_drift(drift) for drift in found]}
        show_json(document)
    elif rebuilt:
        show_drifts(rebuilt)
        note(f"rebuilt {len(rebuilt)} aggregates")
    else:
        note("no aggregate had drifted; nothing changed")


async def _rebuild(settings: Settings) -> list[TableDrift]:
    async with audited(settings, "rebuild"), open_database(settings, "analytics-rebuild") as connection:
        return await rebuild_aggregates(connection, utc_now(), settings.system_metrics_retention)

"""`analytics verify`: proves on a live system that the aggregates are exact and no entry is lost."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta
from typing import Annotated, Any, Final

import typer

from cli.database import open_database
from cli.local.dev_file import DATA_DIR, DataDir, resolve_settings
from cli.output import Column, Row, coloured, joined, show, show_json, show_table
from processors.balance import Balance, read_balances
from runtime.clock import utc_now
from runtime.settings import Settings
from storage.batches.verify import TableDrift, verify_aggregates
from storage.batches.verify_parts import verify_due
from storage.database.pool import open_pool
from storage.losses import StreamLoss
from storage.retention.partition_weeks import raw_reach
from stream.server.connection import connect as connect_stream

_LONGEST_STATEMENT: Final = timedelta(hours=1)


def verify(
    everything: Annotated[
        bool,
        typer.Option(
            "--all/--new",
            help="Compare everything in one snapshot, or only what the nightly verification would compare.",
        ),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Compare every aggregate with a recomputation, and the books with the stream. Exit code 1 on any difference."""
    settings = resolve_settings(data_dir)
    drifts, balances = asyncio.run(_verify(settings, everything=everything))
    losses = [loss for balance in balances for loss in balance.losses]
    clean = all(drift.is_clean for drift in drifts) and all(balance.is_balanced is not False for balance in balances)
    if as_json:
        show_json(
            {
                "clean": clean,
                "drift": sum(drift.missing + drift.unexpected for drift in drifts),
                "tables": [render_drift(drift) for drift in drifts],
                "books": [_balance_as_json(balance) for balance in balances],
                "losses": [_loss_as_json(loss) for loss in losses],
            }
        )
    else:
        _print(drifts, balances, losses)
    if not clean:
        raise typer.Exit(1)


def render_drift(drift: TableDrift) -> dict[str, Any]:
    """Return the JSON object of the drift of one table."""
    return {
        "table": drift.table,
        "rows": drift.rows,
        "missing": drift.missing,
        "unexpected": drift.unexpected,
        "clean": drift.is_clean,
    }


def show_drifts(drifts: list[TableDrift]) -> None:
    """Print a table of the drifts."""
    columns = [Column("aggregate"), *(Column(name, is_number=True) for name in ("rows", "missing", "unexpected"))]
    rows = [
        Row(
            [drift.table, *(f"{n:,}" for n in (drift.rows, drift.missing, drift.unexpected))],
            style=None if drift.is_clean else "red",
        )
        for drift in drifts
    ]
    show_table(columns, rows)


async def _verify(settings: Settings, *, everything: bool) -> tuple[list[TableDrift], list[Balance]]:
    async with (
        aclosing(connect_stream(settings)) as redis,
        open_database(settings, "analytics-verify") as connection,
    ):
        drifts = (
            await verify_aggregates(connection, utc_now(), settings.system_metrics_retention)
            if everything
            else await _verify_new(settings)
        )
        balances = await read_balances(redis, connection, range(settings.stream_partitions))
        return drifts, balances


async def _verify_new(settings: Settings) -> list[TableDrift]:
    pool = await open_pool(
        settings.database_dsn, size=1, application_name="analytics-verify", statement_timeout=_LONGEST_STATEMENT
    )
    try:
        now = utc_now()
        return await verify_due(pool, now, now, raw_reach(settings.raw_retention), settings.system_metrics_retention)
    finally:
        await pool.close()


def _balance_as_json(balance: Balance) -> dict[str, Any]:
    return {"partition": balance.partition, **balance.fates(), "balanced": balance.is_balanced}


def _loss_as_json(loss: StreamLoss) -> dict[str, Any]:
    return {
        "partition": loss.partition,
        "noticed_at": loss.noticed_at.isoformat(),
        "missing": loss.missing,
        "lost": loss.lost,
    }


def _print(drifts: list[TableDrift], balances: list[Balance], losses: list[StreamLoss]) -> None:
    show_drifts(drifts)
    if not all(drift.is_clean for drift in drifts):
        show("", "Run `analytics rebuild` to recompute the tables that differ. Some upgrades require it once.")
    words = {
        True: coloured("balanced", "green"),
        False: coloured("not balanced", "red"),
        None: coloured("Redis cannot tell", "yellow"),
    }
    for balance in balances:
        row = _balance_as_json(balance)
        fates = ["stored", "duplicate", "suppressed", "dead_lettered", *["lost"] * bool(balance.losses), "in_flight"]
        terms = " + ".join(f"{row[fate]:,} {fate.replace('_', ' ')}" for fate in fates)
        line = f"partition {balance.partition}: {row['appended']:,} appended = {terms}: "
        show("", joined(line, words[balance.is_balanced]))
    for loss in losses:
        facts = (
            f" noticed {loss.noticed_at:%Y-%m-%d %H:%M:%S} UTC,"
            f" {loss.missing:,} entries gone, {loss.lost:,} of them stored nowhere"
        )
        show(joined(coloured(f"partition {loss.partition} went back:", "yellow"), facts))

"""`analytics verify`: proves on a live system that the aggregates are exact and no entry is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

import typer

from cli.database import open_database
from cli.local.dev_file import DATA_DIR, DataDir, resolve_settings
from cli.output import Column, Row, coloured, joined, show, show_json, show_table
from runtime.clock import utc_now
from runtime.settings import Settings
from storage.batches.verify import Books, TableDrift, read_books, verify_aggregates
from storage.batches.verify_parts import verify_due
from storage.database.pool import Connection, open_pool
from storage.losses import StreamLoss, read_losses
from storage.retention.partition_weeks import raw_reach
from stream.entries.books import StreamBooks, read_stream_books
from stream.server.connection import Redis
from stream.server.connection import connect as connect_stream

_LONGEST_STATEMENT: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Balance:
    """The books of one partition, and the counts of its stream read before and after the books."""

    partition: int
    before: StreamBooks
    books: Books
    after: StreamBooks
    losses: Sequence[StreamLoss] = ()
    """Times at which the stream lost entries."""

    @property
    def appended(self) -> int:
        """Entries ever appended, including those that the stream lost and no longer counts."""
        return self.after.appended + sum(loss.missing for loss in self.losses)

    @property
    def lost(self) -> int:
        """Entries that the stream lost before they were stored."""
        return sum(loss.lost for loss in self.losses)

    @property
    def is_balanced(self) -> bool | None:
        """Whether the books have exactly one fate for each acknowledged entry; None when Redis cannot report it.

        Traffic continues during the check, so the books may lie anywhere between the two readings of the stream.
        Without traffic the two readings are equal.
        """
        settled = self.books.settled - sum(loss.missing - loss.lost for loss in self.losses)
        if settled > self.after.appended:
            return False
        return None if self.before.settled is None else self.before.settled <= settled

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object of this partition."""
        return {
            "partition": self.partition,
            "appended": self.appended,
            "stored": self.books.stored,
            "duplicate": self.books.duplicate,
            "suppressed": self.books.suppressed,
            "dead_lettered": self.books.dead_lettered,
            "lost": self.lost,
            "in_flight": self.appended - self.books.settled - self.lost,
            "balanced": self.is_balanced,
        }


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
                "books": [balance.as_json() for balance in balances],
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


async def read_balances(redis: Redis, connection: Connection, partitions: Iterable[int]) -> list[Balance]:
    """Return the balance of each partition. Raises StreamUnavailable and StorageUnavailable."""
    before = {partition: await read_stream_books(redis, partition) for partition in partitions}
    books = await read_books(connection)
    after = {partition: await read_stream_books(redis, partition) for partition in partitions}
    losses = await read_losses(connection)
    return [
        Balance(
            partition,
            before[partition],
            books.get(partition, Books(0, 0, 0, 0)),
            after[partition],
            [loss for loss in losses if loss.partition == partition],
        )
        for partition in before
    ]


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
        row = balance.as_json()
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

"""`analytics verify`: proves on a live system that aggregates are exact and that no entry is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.database import connect as connect_storage
from cli.local.dev_file import DATA_DIR, DataDir, settings_of
from cli.output import Column, Row, coloured, joined, show, show_json, show_table
from runtime.clock import utc_now
from runtime.settings import Settings
from storage.batches.verify import Books, TableDrift, read_books, verify_aggregates
from storage.database.pool import Connection
from storage.losses import StreamLoss, read_losses
from stream.books import StreamBooks, read_stream_books
from stream.connection import Redis
from stream.connection import connect as connect_stream


@dataclass(frozen=True, slots=True)
class Balance:
    """The books of one partition beside what the stream says, read before and after them."""

    partition: int
    before: StreamBooks
    books: Books
    after: StreamBooks
    losses: Sequence[StreamLoss] = ()
    """The times the stream went back."""

    @property
    def appended(self) -> int:
        """Entries ever appended, those included that the stream has no more and does not count."""
        return self.after.appended + sum(loss.missing for loss in self.losses)

    @property
    def lost(self) -> int:
        """Entries the stream lost before anybody had stored them."""
        return sum(loss.lost for loss in self.losses)

    @property
    def is_balanced(self) -> bool | None:
        """Whether every entry acknowledged has a fate, and none without an entry; None when Redis cannot tell.

        Traffic goes on meanwhile, so the books may lie anywhere between the two readings. Once all is quiet both
        say the same number.
        """
        settled = self.books.settled - sum(loss.missing - loss.lost for loss in self.losses)
        if settled > self.after.appended:
            return False
        return None if self.before.settled is None else self.before.settled <= settled

    def as_json(self) -> dict[str, Any]:
        """Return it as a program reads it."""
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
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Compare every aggregate with a recompute, and the books with the stream. Exit code 1 on any difference."""
    settings = settings_of(data_dir)
    drifts, balances = asyncio.run(_verify(settings))
    losses = [loss for balance in balances for loss in balance.losses]
    clean = all(drift.is_clean for drift in drifts) and all(balance.is_balanced is not False for balance in balances)
    if as_json:
        show_json(
            {
                "clean": clean,
                "drift": sum(drift.missing + drift.unexpected for drift in drifts),
                "tables": [drift_as_json(drift) for drift in drifts],
                "books": [balance.as_json() for balance in balances],
                "losses": [_loss_as_json(loss) for loss in losses],
            }
        )
    else:
        _print(drifts, balances, losses)
    if not clean:
        raise typer.Exit(1)


def drift_as_json(drift: TableDrift) -> dict[str, Any]:
    """Return one table's drift as a program reads it."""
    return {
        "table": drift.table,
        "rows": drift.rows,
        "missing": drift.missing,
        "unexpected": drift.unexpected,
        "clean": drift.is_clean,
    }


def show_drifts(drifts: list[TableDrift]) -> None:
    """Write the drifts as a person reads them."""
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
    """Compare the books of each partition with its stream. Raises StreamUnavailable and StorageUnavailable."""
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


async def _verify(settings: Settings) -> tuple[list[TableDrift], list[Balance]]:
    redis = connect_stream(settings)
    try:
        connection = await connect_storage(settings.database_dsn, application_name="analytics-verify")
        try:
            drifts = await verify_aggregates(connection, utc_now(), settings.system_metrics_retention)
            balances = await read_balances(redis, connection, range(settings.stream_partitions))
        finally:
            await connection.close()
    finally:
        await redis.aclose()
    return drifts, balances


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
        show("", "`analytics rebuild` recomputes the tables that differ. Some upgrades ask for it once.")
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

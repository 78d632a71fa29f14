"""The balance of the books: each entry of a stream has exactly one fate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from storage.batches.verify import Books, read_books
from storage.database.pool import Connection, Pool
from storage.losses import StreamLoss, read_losses
from stream.entries.books import StreamBooks, read_stream_books
from stream.server.connection import Redis


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
    def imbalance(self) -> int | None:
        """Number of acknowledged entries without exactly one fate; None when Redis cannot report them.

        Traffic continues during the check, so the books may lie anywhere between the two readings of the stream.
        Without traffic the two readings are equal.
        """
        settled = self.books.settled - sum(loss.missing - loss.lost for loss in self.losses)
        if settled > self.after.appended:
            return settled - self.after.appended
        return None if self.before.settled is None else max(0, self.before.settled - settled)

    @property
    def is_balanced(self) -> bool | None:
        """Whether the books have exactly one fate for each acknowledged entry; None when Redis cannot report it."""
        return None if self.imbalance is None else self.imbalance == 0

    def fates(self) -> dict[str, int]:
        """Return the number of entries ever appended, and the number with each fate."""
        return {
            "appended": self.appended,
            "stored": self.books.stored,
            "duplicate": self.books.duplicate,
            "suppressed": self.books.suppressed,
            "dead_lettered": self.books.dead_lettered,
            "lost": self.lost,
            "in_flight": self.appended - self.books.settled - self.lost,
        }


async def read_balances(redis: Redis, connection: Connection | Pool, partitions: Iterable[int]) -> list[Balance]:
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

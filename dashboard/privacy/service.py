"""Export and erasure of one learner's data. These requests are rare: each opens its own database connection."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic_core import from_json, to_json

from schemas.answers.privacy import ErasureReceipt
from schemas.entry import by_name
from storage.database.pool import Connection, connect
from storage.privacy.erasure import ErasureJob, read_job, request_erasure
from storage.privacy.learner_data import erased_at, last_audit_entry, learner_pages
from stream.entries.entry import Entry
from stream.entries.learner_entries import find_learner_entries
from stream.live.live_history import find_learner_messages
from stream.server.connection import Redis
from stream.server.health import primary

_NEXT: Final = b",\n"


class PrivacyService:
    """Exports and erases the data of one learner. Every method raises StorageUnavailable."""

    def __init__(
        self, database_url: str, redis: Redis, partitions: Iterable[int], clock: Callable[[], datetime]
    ) -> None:
        self._database_url = database_url
        self._redis = redis
        self._partitions = list(partitions)
        self._clock = clock

    async def erase(self, pseudonyms: Sequence[bytes], requested_by: str) -> ErasureReceipt:
        """Reject further events of the learner and return the job. Maintenance removes the stored data."""
        async with self._connection() as connection:
            return receipt_of(await request_erasure(connection, pseudonyms, requested_by))

    async def receipt(self, job_id: UUID) -> ErasureReceipt | None:
        """Return the state of an erasure; None for an unknown id."""
        async with self._connection() as connection:
            job = await read_job(connection, job_id)
        return receipt_of(job) if job else None

    async def export(self, pseudonyms: Sequence[bytes]) -> AsyncGenerator[bytes, None]:
        """Return the pieces of a JSON document, `LearnerExport`: all data about the learner.

        Each piece is read when it is requested. Raises StreamUnavailable too; so may each piece, and then the
        document is incomplete.
        """
        async with self._connection() as connection:
            erased = await erased_at(connection, pseudonyms)
            # the audit entry of this export is written before its pieces are read, and is not part of it
            last_audited = await last_audit_entry(connection)
        await primary(self._redis)
        return self._pieces(pseudonyms, erased, last_audited)

    async def _pieces(
        self, pseudonyms: Sequence[bytes], erased: datetime | None, last_audited: int
    ) -> AsyncGenerator[bytes, None]:
        names = [one.hex() for one in pseudonyms]
        head = to_json({"generated_at": self._clock(), "pseudonyms": names, "erased_at": erased})
        # the stream first: an event that is stored meanwhile is in both parts, not missing
        yield head.removesuffix(b"}") + b',\n"stream":['
        separator = b""
        for partition in self._partitions:
            async for entries in find_learner_entries(self._redis, partition, pseudonyms):
                yield separator + _joined(map(_entry, entries))
                separator = _NEXT
        yield b'],\n"live":['
        separator, known = b"", set[bytes]()
        async for live, _, message in find_learner_messages(self._redis, frozenset(pseudonyms), len(self._partitions)):
            # a message is in a history and the timeline; its id identifies it in its partition
            identity = live.tag.encode() + message.partition(b",")[0]
            if identity not in known:
                known.add(identity)
                yield separator + to_json(from_json(message))
                separator = _NEXT
        yield b'],\n"tables":{'
        before = None
        async with self._connection() as connection:
            async for table, rows in learner_pages(connection, pseudonyms, last_audited):
                if table != before:
                    yield (b"" if before is None else b"],\n") + to_json(table) + b":["
                    before, separator = table, b""
                if rows:
                    yield separator + _joined(to_json(row, bytes_mode="hex") for row in rows)
                    separator = _NEXT
        yield b"]}}"

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        connection = await connect(self._database_url, application_name="analytics-privacy")
        try:
            yield connection
        finally:
            await connection.close()


def _joined(documents: Iterable[bytes]) -> bytes:
    return _NEXT.join(documents)


def _entry(entry: Entry) -> bytes:
    fields = {name.decode(): value.decode(errors="replace") for name, value in by_name(entry.fields).items()}
    return to_json(fields | {"id": entry.id})


def receipt_of(job: ErasureJob) -> ErasureReceipt:
    """Return the receipt of an erasure. It does not name the learner."""
    return ErasureReceipt(
        job_id=job.job_id,
        state=job.state,
        requested_by=job.requested_by,
        requested_at=job.requested_at,
        completed_at=job.completed_at,
        removed=job.removed,
    )

"""What is done for the learner's rights. Rare, and nothing but this writes: so each request has its own connection."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from pydantic_core import from_json, to_jsonable_python

from schemas.privacy import ErasureReceipt, LearnerExport
from storage.erasure import ErasureJob, read_job, request_erasure
from storage.learner_data import erased_at, read_learner
from storage.pool import Connection, connect
from stream.connection import Redis
from stream.learner_entries import find_learner_entries
from stream.live_history import find_learner_messages


class PrivacyDesk:
    """Takes requests about one learner's data. Every method raises StorageUnavailable."""

    def __init__(
        self, database_url: str, redis: Redis, partitions: Iterable[int], clock: Callable[[], datetime]
    ) -> None:
        self._database_url = database_url
        self._redis = redis
        self._partitions = list(partitions)
        self._clock = clock

    async def erase(self, pseudonyms: Sequence[bytes], requested_by: str) -> ErasureReceipt:
        """Keep the learner out from now on; maintenance removes the rest."""
        async with self._connection() as connection:
            return receipt_of(await request_erasure(connection, pseudonyms, requested_by))

    async def receipt(self, job_id: UUID) -> ErasureReceipt | None:
        """Return how far an erasure is, None when there is none with this id."""
        async with self._connection() as connection:
            job = await read_job(connection, job_id)
        return receipt_of(job) if job else None

    async def export(self, pseudonyms: Sequence[bytes]) -> LearnerExport:
        """Return everything that is held on the learner. Raises StreamUnavailable too."""
        # the stream first: what is stored meanwhile is in both, not in neither
        entries = [
            {name.decode(): value.decode(errors="replace") for name, value in entry.fields.items()} | {"id": entry.id}
            for partition in self._partitions
            async for page in find_learner_entries(self._redis, partition, pseudonyms)
            for entry in page
        ]
        messages = {text async for _, text in find_learner_messages(self._redis, frozenset(pseudonyms))}
        async with self._connection() as connection:
            tables = await read_learner(connection, pseudonyms)
            erased = await erased_at(connection, pseudonyms)
        return LearnerExport(
            generated_at=self._clock(),
            pseudonyms=[one.hex() for one in pseudonyms],
            erased_at=erased,
            tables=to_jsonable_python(tables, bytes_mode="hex"),
            live=[from_json(text) for text in sorted(messages)],
            stream=entries,
        )

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        connection = await connect(self._database_url, application_name="analytics-privacy")
        try:
            yield connection
        finally:
            await connection.close()


def receipt_of(job: ErasureJob) -> ErasureReceipt:
    """Return what may be told of an erasure: not whose it is."""
    return ErasureReceipt(
        job_id=job.job_id,
        state=job.state,
        requested_by=job.requested_by,
        requested_at=job.requested_at,
        completed_at=job.completed_at,
        removed=job.removed,
    )

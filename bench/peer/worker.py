"""The worker that stores the events of the peer: `python -m bench.peer.worker`."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from datetime import datetime
from typing import Any

import asyncpg
import uvloop
from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub

from bench.peer.table import GROUP, INSERT, STREAM


def _row(event: dict[str, Any]) -> tuple[object, ...]:
    occurred_at = datetime.fromisoformat(event["timestamp"])
    return (
        event["event_id"],
        event["event_type"],
        bytes.fromhex(event["user_hash"]) if event["user_hash"] else None,
        event["session_id"],
        occurred_at,
        datetime.fromisoformat(event["received_at"]),
        occurred_at.date(),
        json.dumps(event["properties"]),
    )


async def _run() -> None:
    pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=10)
    broker = RedisBroker(os.environ["REDIS_URL"], logger=logging.getLogger("peer"))
    stream = StreamSub(STREAM, group=GROUP, consumer="worker-1", batch=True, max_records=1_000)

    @broker.subscriber(stream=stream)
    async def store(events: list[dict[str, Any]]) -> None:
        await pool.executemany(INSERT, [_row(event) for event in events])

    await FastStream(broker).run()
    await pool.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run())

"""Measures the memory of live messages in Redis: `python -m bench.live_memory [--events 150000]`.

Publishes demo events of all types as a live worker does. Prints the memory of the timeline, the histories and the ids
of known events, and how long the script blocked Redis.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

from bench.backlog import PSEUDONYM_KEYS, backlog
from cli.local.embedded.valkey import Valkey
from processors.live.worker import BATCH, prepare
from runtime.settings import Settings
from schemas.catalogue import EventType
from stream.entries.producer import Producer
from stream.keys import LIVE_EVENTS, TIMELINE, history_key
from stream.live.feed import Feed
from stream.live.publisher import Publisher
from stream.server.connection import Redis, connect


async def publish_all(redis: Redis, settings: Settings, events: int) -> None:
    """Append events and publish them."""
    source = backlog(events, settings)
    while page := list(islice(source, 1_000)):
        await Producer(redis, 1).append(page)
    feed = Feed(redis, 0, "bench")
    publisher = Publisher(redis, 0, "bench", settings.live_history_events, settings.live_timeline_events)
    cursor = await feed.lead()
    assert cursor is not None
    await redis.config_resetstat()
    while entries := await feed.read(cursor, BATCH, 1):
        move, publications, _, _ = prepare(cursor, entries, frozenset())
        await publisher.publish(move, publications)
        cursor = move.to


async def measure(directory: Path, events: int) -> None:
    """Publish events and print their memory."""
    server = Valkey(directory / "redis")
    server.start()
    settings = Settings.model_validate({"redis_url": server.url, "pseudonym_keys": PSEUDONYM_KEYS})
    redis = connect(settings)
    try:
        await publish_all(redis, settings, events)
        total = 0
        sizes: dict[str, Any] = {"timeline": (TIMELINE, redis.zcard), "known events": (LIVE_EVENTS, redis.zcard)}
        for name, (key, count) in sizes.items():
            total += report(name, await redis.memory_usage(key, samples=0) or 0, await count(key))
        histories = [history_key(event_type) for event_type in EventType]
        used = sum([await redis.memory_usage(key, samples=0) or 0 for key in histories])
        total += report("histories", used, sum([await redis.llen(key) for key in histories]))
        print(f"total {total / 1e6:.0f} MB")
        script = (await redis.info("commandstats"))["cmdstat_evalsha"]
        print(f"the script blocked Redis for {script['usec'] / events:.1f} us per event (up to {BATCH} per call)")
    finally:
        await redis.aclose()
        server.stop()


def report(name: str, used: int, messages: int) -> int:
    """Print the memory of a group of keys; return it in bytes."""
    print(f"{name:12} {used / 1e6:6.1f} MB {messages:9,} messages {used / max(messages, 1):6.0f} bytes each")
    return used


def main() -> None:
    """Run and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=150_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="studyin-analytics-live-") as place:
        Path(place).chmod(0o711)
        asyncio.run(measure(Path(place), arguments.events))


if __name__ == "__main__":
    main()

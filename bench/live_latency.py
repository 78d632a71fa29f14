"""Measures the time from acceptance to publication: `python -m bench.live_latency [--rate 2000] [--seconds 30]`.

Runs the whole system, sends single-learner batches at a constant rate, and listens on every channel in a separate
process. The time is from when ingest received an event to when a subscriber of the channel has it, on one clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from datetime import datetime
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from queue import Empty
from typing import Any, Final

from bench.overload import Load
from bench.system import running
from runtime.settings import Settings
from schemas.catalogue import EventType
from stream.keys import channel
from stream.server.connection import connect

_BATCH: Final = 10
_EVENT: Final = {"event_type": "xp_earned", "properties": {"xp_amount": 1, "source": "quiz"}}


def listen(redis_url: str, ready: Event, results: multiprocessing.Queue[list[float]], over: Event) -> None:
    """Put the latency of every message on the queue, in seconds, once `over` is set and no message is left."""

    async def run() -> list[float]:
        redis = connect(Settings.model_validate({"redis_url": redis_url}))
        seconds = []
        async with redis.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(*map(channel, EventType))
            await pubsub.get_message(timeout=1)
            ready.set()
            while True:
                message: Any = await pubsub.get_message(timeout=1)
                if message is None:
                    if over.is_set():
                        break
                    continue
                received = json.loads(message["data"])["received_at"]
                seconds.append(time.time() - datetime.fromisoformat(received).timestamp())
        await redis.aclose()
        return seconds

    results.put(asyncio.run(run()))


async def measure(data_dir: Path, rate: float, seconds: float) -> list[float]:
    """Return the latency of each published event, in seconds."""
    async with running(data_dir, 1, ANALYTICS_BATCH_SIZE="1000", ANALYTICS_LOG_LEVEL="warning") as (_, where):
        ready, over = multiprocessing.Event(), multiprocessing.Event()
        results: multiprocessing.Queue[list[float]] = multiprocessing.Queue()
        listener = multiprocessing.Process(target=listen, args=(where.redis_url, ready, results, over))
        listener.start()
        await asyncio.to_thread(ready.wait)
        bodies = [json.dumps([_EVENT | {"user_id": f"learner-{n}"}] * _BATCH).encode() for n in range(100)]
        load, done = Load(where, bodies), asyncio.Event()
        sending = asyncio.create_task(load.send_relentlessly(rate / _BATCH, done))
        await asyncio.sleep(seconds)
        done.set()
        await sending
        over.set()
        measured: list[float] = await asyncio.to_thread(result_of, results, listener)
        load.close()
        accepted = load.answers["202"] * _BATCH
        print(f"offered {load.offered * _BATCH:,} events in {seconds:.0f} s, accepted {accepted:,}")
        print(f"published {len(measured):,}: {'every one' if len(measured) == accepted else 'NOT AS MANY'}")
        return measured


def result_of(results: multiprocessing.Queue[list[float]], listener: BaseProcess) -> list[float]:
    """Return what the listener put on the queue. Raises RuntimeError when the process ended before."""
    while True:
        try:
            return results.get(timeout=1)
        except Empty:
            if not listener.is_alive():
                raise RuntimeError("the listener died") from None


def percentile(ordered: list[float], share: float) -> float:
    """Return the value below which this share of the values lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main() -> None:
    """Run and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=2_000.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="studyin-analytics-live-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        ordered = sorted(asyncio.run(measure(Path(place), arguments.rate, arguments.seconds)))
    if not ordered:
        sys.exit("nothing was published")
    shown = ", ".join(f"p{share:g} {percentile(ordered, share / 100) * 1000:.1f} ms" for share in (50, 95, 99, 99.9))
    print(f"accepted to published at {arguments.rate:,.0f} events/s: {shown}, longest {ordered[-1] * 1000:.1f} ms")


if __name__ == "__main__":
    main()

"""Mixed traffic with faults, then a report: `python -m bench.soak [--minutes 10] [--seed N] [--report FILE]`.

Starts `analytics up` with two workers in its own directory. Exit code 1 when an event was lost or counted twice, or an
aggregate drifted.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from bench.soak.comparison import compare_with_tables
from bench.soak.faults import Faults, resident_bytes
from bench.soak.report import Sample, written
from bench.soak.traffic import Traffic
from bench.system import running
from runtime.errors import StreamUnavailable
from runtime.settings import Settings
from stream.entries.lag import measure
from stream.server.connection import Redis, connect

_SAMPLE_SECONDS = 2.0
# so that entries of a killed worker are claimed within the soak
_ENVIRONMENT = {
    "ANALYTICS_FLUSH_INTERVAL": "2",
    "ANALYTICS_CLAIM_IDLE_SECONDS": "25",
    "ANALYTICS_BATCH_SIZE": "500",
    "ANALYTICS_LOG_LEVEL": "warning",
}


async def soak(data_dir: Path, arguments: argparse.Namespace) -> tuple[str, bool]:
    """Run one soak; return the report and whether it is clean."""
    async with running(data_dir, 2, **_ENVIRONMENT) as (process, where):
        traffic = Traffic(where.ingest_url, where.write_key, arguments.rate, arguments.seed)
        faults = Faults(process.pid, where.database_url, arguments.seed, arguments.pause)
        redis = connect(Settings.model_validate({"redis_url": where.redis_url}))
        over, settled = asyncio.Event(), asyncio.Event()
        samples: list[Sample] = []
        harm = asyncio.create_task(faults.run(over))
        watch = asyncio.create_task(sample(process.pid, redis, samples, settled))
        await traffic.run(arguments.minutes * 60)
        over.set()
        await harm
        while not (samples and samples[-1].lag_seconds == 0.0 and samples[-1].backlog == 0):
            await asyncio.sleep(_SAMPLE_SECONDS)
        settled.set()
        await watch
        await redis.aclose()
        verdict = await compare_with_tables(where.database_url, data_dir, traffic.score)
    return written(arguments.seed, arguments.minutes, traffic.score, faults.done, samples, verdict), verdict.is_clean


async def sample(starter: int, redis: Redis, samples: list[Sample], over: asyncio.Event) -> None:
    """Sample lag and memory every two seconds until `over` is set."""
    start = time.monotonic()
    while not over.is_set():
        lag: float | None
        backlog: int | None
        try:
            measured = await measure(redis, 0)
            lag, backlog = measured.seconds, (measured.undelivered or 0) + measured.pending
        except StreamUnavailable:
            lag = backlog = None
        samples.append(Sample(time.monotonic() - start, lag, backlog, resident_bytes(starter)))
        await asyncio.sleep(_SAMPLE_SECONDS)


def main() -> None:
    """Run a soak and print its report. Exit code 1 unless it is clean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=300.0, help="events a second")
    parser.add_argument("--pause", type=float, default=12.0, help="maximum seconds between two faults")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--report", type=Path, help="also write the report here")
    arguments = parser.parse_args()
    print(f"soaking for {arguments.minutes:g} minutes with seed {arguments.seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="studyin-analytics-soak-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        report, is_clean = asyncio.run(soak(Path(place), arguments))
    print(report)
    if arguments.report:
        arguments.report.write_text(report, encoding="utf-8")
    sys.exit(0 if is_clean else 1)


if __name__ == "__main__":
    main()

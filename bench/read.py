"""Latency of the read service for 1,000 dashboards, each of another learner, beside a service that only answers."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Final

from bench.figures import Figure, Floor, Target
from bench.fill import fill, known_learners, make_base
from bench.questions import Questions, of_dashboards
from bench.servers import Servers, dashboard, fresh_servers, process, verify
from bench.size import Size
from bench.waits import Waits, wait_for_answers
from runtime.embedded.ports import LOOPBACK, any_free

_SHARES: Final = (0.5, 0.95, 0.99)
_JUDGED: Final = 0.95
_TARGET: Final = Target(100, 30)

_ask: Final = partial(wait_for_answers, per_second=1_000, connections=1_000)


async def measure(size: Size) -> list[Figure]:
    """Measure one endpoint after another on one database."""
    base = make_base(size.read_events)
    figures: list[Figure] = []
    async with fresh_servers() as servers:
        await fill(servers, base, size.read_events)
        floor = await _floor(servers, size.read_seconds)
        questions = of_dashboards(known_learners(base, size.read_events), datetime.now(UTC))
        async with dashboard(servers) as service:
            for name, those in questions.items():
                waits = await _ask(service.url, servers, those, size.read_seconds)
                figures += _figures(f"read: {name}", waits, floor)
        await verify(servers.directory, size.read_events, servers.environment())
    return figures


async def _floor(servers: Servers, seconds: float) -> Waits:
    port = any_free()
    url = f"http://{LOOPBACK}:{port}"
    async with process(("bench.bare_server", str(port)), {}, servers.directory / "bare.log", f"{url}/readyz"):
        return await _ask(url, servers, Questions(["/"]), seconds)


def _figures(name: str, waits: Waits, floor: Waits) -> list[Figure]:
    """Return a figure for each percentile; the one with the target has the floor beside it."""
    return [
        Figure(
            f"{name}, p{share * 100:g}",
            waits.percentile(share),
            "ms",
            (Floor("bare uvicorn", floor.percentile(share)),) if share == _JUDGED else (),
            _TARGET if share == _JUDGED else None,
            note=waits.note if share == _JUDGED else "",
        )
        for share in _SHARES
    ]

"""Attacks a system of its own: `python -m attack [--minutes 2.5] [--seed N] [--replay FILE]`.

Starts fresh servers, ingest, a store worker and the read service in a temporary folder. The worst inputs are written to
`--out`. Exit code 1 when a bound was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from pathlib import Path
from typing import Final

from attack.attempt import read_attempt
from attack.campaign import Campaign, Plan
from attack.corpus import corpus
from attack.report import lines
from attack.system import running_system
from attack.verdict import Bounds, documented_codes
from attack.watch import Watch

_ROOT: Final = Path(__file__).parents[1]
_REPLAYS: Final = 3


async def attack(plan: Plan, bounds: Bounds) -> Campaign:
    """Run everything and return what was found. Raises RuntimeError when it cannot be run."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    campaign = None
    try:
        async with running_system() as system:
            watch = Watch(system.processes)
            campaign = Campaign(system, watch, bounds)
            async with watch.running(system.reference_port):
                await campaign.run(plan)
    except asyncio.CancelledError:
        # what was found until then is worth a report
        if campaign is None:
            raise
        campaign.is_interrupted = True
    except RuntimeError:
        # the end of a service is in the report, with the input that caused it
        if campaign is None or not campaign.tally.findings:
            raise
    return campaign


def main() -> None:
    """Run an attack, print its report, exit 1 when it found anything."""
    parser = argparse.ArgumentParser(prog="python -m attack", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.5, help="time of the attack, without start and end")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument(
        "--livez-ms", type=float, default=50, help="bound of the latency of /livez; a shared machine needs more"
    )
    parser.add_argument("--no-corpus", action="store_true", help="search only, without the known attacks")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="send this input and nothing else, three times")
    parser.add_argument("--out", type=Path, default=_ROOT / ".data/attack", help="folder for the worst inputs")
    arguments = parser.parse_args()
    documented = documented_codes((_ROOT / "docs/api.md").read_text())
    bounds = Bounds(livez_seconds=arguments.livez_ms / 1_000, documented=documented)
    seconds = arguments.minutes * 60
    if arguments.replay:
        try:
            plan = Plan(seconds, 0, [read_attempt(arguments.replay)] * _REPLAYS, searches=False)
        except (OSError, ValueError) as error:
            parser.error(str(error))
    else:
        plan = Plan(seconds, arguments.seed, [] if arguments.no_corpus else corpus())
        print(f"attacking for {arguments.minutes:g} minutes with seed {arguments.seed}", file=sys.stderr)
    try:
        campaign = asyncio.run(attack(plan, bounds))
    except asyncio.CancelledError:
        sys.exit("interrupted")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for line in lines(campaign, arguments.out):
        print(line)
    sys.exit(1 if campaign.tally.findings or campaign.is_interrupted else 0)


if __name__ == "__main__":
    main()

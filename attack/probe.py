"""Probes `/livez` of each service repeatedly: `python -m attack.probe NAME=PORT...`. Prints one line per response.

A separate process, so that a busy attacker does not look like a slow service.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final

from attack.asking import ask

INTERVAL_SECONDS: Final = 0.015
TIMEOUT_SECONDS: Final = 120.0

_GOOD: Final = b"HTTP/1.1 200 "


async def _probe(name: str, port: int) -> None:
    while True:
        started = time.monotonic()
        is_good = await _ask(port)
        print(name, started, time.monotonic() - started, int(is_good), flush=True)
        await asyncio.sleep(INTERVAL_SECONDS)


async def _ask(port: int) -> bool:
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return (await ask(port, "/livez")).startswith(_GOOD)
    except (OSError, TimeoutError):
        return False


async def _main(targets: list[str]) -> None:
    async with asyncio.TaskGroup() as probes:
        for name, _, port in (target.partition("=") for target in targets):
            probes.create_task(_probe(name, int(port)))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))

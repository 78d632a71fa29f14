"""Many WebSocket subscribers in one cheap process, for `bench.live_fanout`. Frames are counted, not parsed.

Each subscriber checks that its frames are consecutive; a sample also checks every id and the age of each message.
Prints `ready` when all are connected, then the results as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import Iterator
from typing import Final, cast

import uvloop

_FIRST: Final = re.compile(rb'\{"type":"events","events":\[\{"id":"(\d+)"')
_ID: Final = re.compile(rb'\{"id":"(\d+)"')
_EVENTS: Final = b'{"type":"events"'
_OPENING_AT_ONCE: Final = 50
_LOOKS_CLOSELY: Final = 50
"""One subscriber in this many is in the sample."""


class Subscriber(asyncio.Protocol):
    """One connection."""

    def __init__(self, head: bytes, *, looks_closely: bool) -> None:
        self.head = head
        self.looks_closely = looks_closely
        self.welcome = asyncio.get_running_loop().create_future()
        self.messages = 0
        self.frames = 0
        self.last = 0
        self.disorder = 0
        self.notices: list[str] = []
        self.ids: list[int] = []
        self.ages: list[float] = []
        self._pending = b""
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Request the upgrade."""
        self.transport = cast(asyncio.WriteTransport, transport)
        self.transport.write(self.head)

    def data_received(self, data: bytes) -> None:
        """Process complete frames."""
        self._pending = self._pending + data if self._pending else data
        if not self._is_open:
            head, end, self._pending = self._pending.partition(b"\r\n\r\n")
            if not end:
                self._pending = head
                return
            assert head.startswith(b"HTTP/1.1 101 "), head
            self._is_open = True
        for opcode, payload in self._frames():
            if opcode == 1:
                self._take(payload)
            elif opcode == 9:
                # a pong, masked with zeros
                self.transport.write(bytes((0x8A, 0x80 | len(payload), 0, 0, 0, 0)) + payload)
            else:
                self.notices.append(f"opcode {opcode}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Record that the connection ended."""
        self.notices.append(f"closed {exc}")

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        data, at = self._pending, 0
        while len(data) - at >= 2:
            size, start = data[at + 1] & 127, at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                if len(data) < start + width:
                    break
                size, start = int.from_bytes(data[start : start + width], "big"), start + width
            if len(data) < start + size:
                break
            yield data[at] & 15, data[start : start + size]
            at = start + size
        self._pending = data[at:] if at else data

    def _take(self, payload: bytes) -> None:
        if not payload.startswith(_EVENTS):
            if not self.welcome.done():
                self.welcome.set_result(None)
            else:
                self.notices.append(payload.decode())
            return
        first = _FIRST.match(payload)
        assert first is not None
        self.frames += 1
        self.messages += payload.count(b'{"id":"')
        self.disorder += int(first[1]) <= self.last
        self.last = int(payload[payload.rindex(b'"cursor":"') + 10 : -2])
        if self.looks_closely:
            now = time.time()
            ids = [int(one) for one in _ID.findall(payload)]
            self.ids += ids
            self.ages += [now - one / 1e6 for one in ids]


async def follow(port: int, key: str, count: int, expected: int, seconds: float) -> dict[str, object]:
    """Subscribe, wait until all have received everything or the time is over; return the results."""
    loop = asyncio.get_running_loop()
    head = (
        f"GET /api/analytics/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Authorization: Bearer {key}\r\n\r\n"
    ).encode()
    gate = asyncio.Semaphore(_OPENING_AT_ONCE)

    async def opened(number: int) -> Subscriber:
        async with gate:
            _, subscriber = await loop.create_connection(
                lambda: Subscriber(head, looks_closely=number % _LOOKS_CLOSELY == 0), "127.0.0.1", port
            )
            await subscriber.welcome
            return subscriber

    subscribers = await asyncio.gather(*(opened(number) for number in range(count)))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    deadline = loop.time() + seconds
    while loop.time() < deadline and any(one.messages < expected for one in subscribers):
        await asyncio.sleep(0.2)
    close = [one for one in subscribers if one.looks_closely]
    ages = sorted(age for one in close for age in one.ages)
    return {
        "received": sum(one.messages for one in subscribers),
        "complete": sum(one.messages == expected for one in subscribers),
        "frames": sum(one.frames for one in subscribers),
        "disorder": sum(one.disorder for one in subscribers),
        "notices": sorted({notice for one in subscribers for notice in one.notices if "heartbeat" not in notice}),
        "ids": [one.ids for one in close],
        "ages_ms": [round(ages[int(len(ages) * part)] * 1000, 1) for part in (0.5, 0.95, 0.99)] if ages else [],
    }


def main() -> None:
    """Run once."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, kind in (("port", int), ("key", str), ("count", int), ("expected", int), ("seconds", float)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(follow(**vars(parser.parse_args())))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

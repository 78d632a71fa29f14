"""A service with every fault that the attack searches for: `python -m tests.support.broken_service PORT`.

Words in the body of a POST select the fault.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time

from runtime.embedded.ports import LOOPBACK

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_kept: list[bytes] = []
_series = 10


def _show(body: bytes) -> str:
    global _series
    if b"die" in body:
        os._exit(1)
    if b"freeze" in body:
        time.sleep(60)
    if b"block" in body:
        time.sleep(0.7)
    if b"spin" in body:
        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass
    if b"talk" in body:
        sys.stdout.write("x" * 5_000 + "\n")
        sys.stdout.flush()
    if b"label" in body:
        _series += 500
    if b"hold" in body:
        _kept.append(b"x" * 80 * 1024**2)
    return "500 Internal Server Error" if b"fail" in body else "202 Accepted" if b"take" in body else "400 Bad Request"


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    body = await reader.readexactly(int(length[1])) if length else b""
    status = _show(body) if head.startswith(b"POST") else "200 OK"
    page = "".join(f'broken_total{{number="{number}"}} 1.0\n' for number in range(_series))
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(page)}\r\n\r\n{page}".encode())
    writer.close()


async def _serve(port: int) -> None:
    server = await asyncio.start_server(_answer, LOOPBACK, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))

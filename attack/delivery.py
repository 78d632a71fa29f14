"""Delivers an attempt over plain sockets. A client library would correct what is wrong on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from attack.attempt import Attempt, Form
from attack.wire import Access, on_the_wire

ATTACKER: Final = "127.0.0.3"
"""Source address of all attacks. Limits per address must not affect the probes, which have another address."""

_CONNECT_SECONDS: Final = 10.0
_SEND_SECONDS: Final = 30.0
_FIRST_SECONDS: Final = 0.25
_ANSWER_SECONDS: Final = 20.0
"""Time to wait for the response to a complete request."""
_QUIET_SECONDS: Final = 0.03
_READ_BYTES: Final = 64 * 1024
_MAX_KEPT: Final = 256 * 1024
_ANSWER: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")
_CODE: Final = re.compile(rb'"code":"([a-z_]{1,64})"')


@dataclass(frozen=True, slots=True)
class Answer:
    """The status of a response, and the code of its problem document; empty without one."""

    status: int
    code: str


@dataclass(slots=True)
class Outcome:
    """The result of an attempt."""

    seconds: float = 0.0
    """From the first connection to the last response."""
    sent_bytes: int = 0
    answers: Counter[Answer] = field(default_factory=Counter)


Turning = Callable[[], Awaitable[None]]
"""Returns when the service has answered a probe that began after the call."""


async def deliver(attempt: Attempt, access: Access, turning: Turning) -> Outcome:
    """Send an attempt and collect the responses, until they end or the service sends nothing more."""
    wire = on_the_wire(attempt, access)
    outcome = Outcome()
    started = time.monotonic()
    conversations = (_converse(attempt, wire, access, outcome, turning) for _ in range(attempt.connections))
    await asyncio.gather(*conversations)
    outcome.seconds = time.monotonic() - started
    return outcome


def answers_in(said: bytes) -> list[Answer]:
    """Return the responses in the bytes that one connection received."""
    found = list(_ANSWER.finditer(said))
    ends = [*(each.start() for each in found[1:]), len(said)]
    answers = []
    for each, end in zip(found, ends, strict=False):
        code = _CODE.search(said, each.end(), end)
        answers.append(Answer(int(each[1]), code[1].decode() if code else ""))
    return answers


async def _converse(attempt: Attempt, wire: bytes, access: Access, outcome: Outcome, turning: Turning) -> None:
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(access.host, access.port, local_addr=(ATTACKER, 0))
    except (OSError, TimeoutError):
        return
    said = bytearray()
    # a server may close or reset the connection at any point, which is a response too
    with contextlib.suppress(OSError, TimeoutError):
        try:
            if attempt.reads:
                sending = asyncio.create_task(_send(attempt, wire, writer, outcome, _SEND_SECONDS))
                try:
                    await _read(reader, said, sending, attempt, turning)
                finally:
                    sending.cancel()
                    await asyncio.wait([sending])
            else:
                await _send(attempt, wire, writer, outcome, attempt.hold_seconds)
                await asyncio.sleep(attempt.hold_seconds)
        finally:
            writer.transport.abort()
    outcome.answers.update(answers_in(bytes(said)))


async def _send(attempt: Attempt, wire: bytes, writer: asyncio.StreamWriter, outcome: Outcome, limit: float) -> None:
    step = attempt.piece_bytes or len(wire) or 1
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(limit + attempt.pause_seconds * len(wire) / step):
            for start in range(0, len(wire), step):
                piece = wire[start : start + step]
                writer.write(piece)
                outcome.sent_bytes += len(piece)
                await writer.drain()
                await asyncio.sleep(attempt.pause_seconds)


async def _read(
    reader: asyncio.StreamReader, said: bytearray, sending: asyncio.Task[None], attempt: Attempt, turning: Turning
) -> None:
    while not sending.done():
        if not await _read_once(reader, said, _QUIET_SECONDS):
            return
    deadline = time.monotonic() + attempt.hold_seconds
    while (left := deadline - time.monotonic()) > 0:
        if not await _read_once(reader, said, left):
            return
    is_whole = attempt.form not in (Form.RAW, Form.FRAMES)
    if not said and not await _read_once(reader, said, _ANSWER_SECONDS if is_whole else _FIRST_SECONDS):
        return
    if not said:
        # the service is either busy with this input or waits for more of it
        await turning()
    before = -1
    while len(said) != before:
        before = len(said)
        if not await _read_once(reader, said, _QUIET_SECONDS):
            return


async def _read_once(reader: asyncio.StreamReader, said: bytearray, seconds: float) -> bool:
    """Read for up to `seconds`; return whether the connection is open."""
    try:
        async with asyncio.timeout(seconds):
            part = await reader.read(_READ_BYTES)
    except TimeoutError:
        return True
    if len(said) < _MAX_KEPT:
        said += part
    return bool(part)

"""Writes of one turn of the event loop are sent as one packet, and nothing is lost on close."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from web.server.write_coalescing import CoalescingTransport


class _Transport:
    """A transport that records what it writes."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.ended: list[str] = []

    def write(self, data: bytes) -> None:
        self.packets.append(data)

    def close(self) -> None:
        self.ended.append("closed")

    def abort(self) -> None:
        self.ended.append("aborted")

    def is_closing(self) -> bool:
        return bool(self.ended)

    def get_write_buffer_size(self) -> int:
        return 7

    def get_extra_info(self, name: str) -> str:
        return f"extra {name}"


@pytest.fixture
def transport() -> Any:
    return _Transport()


async def turn() -> None:
    """Let the event loop run scheduled calls."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(done.set_result, None)
    await done


async def test_one_turn_is_one_packet(transport: Any) -> None:
    joined = CoalescingTransport(transport, asyncio.get_running_loop())
    for turns in (1, 2):
        joined.write(b"head ")
        joined.write(b"body")
        assert len(transport.packets) == turns - 1
        assert joined.get_write_buffer_size() == 9 + 7
        await turn()
        assert transport.packets == [b"head body"] * turns
        assert joined.get_write_buffer_size() == 7


async def test_closing_sends_what_was_written(transport: Any) -> None:
    joined = CoalescingTransport(transport, asyncio.get_running_loop())
    joined.write(b"last")
    joined.close()
    assert (transport.packets, transport.ended) == ([b"last"], ["closed"])
    assert joined.is_closing()
    await turn()
    assert transport.packets == [b"last"]


async def test_aborting_sends_nothing_more(transport: Any) -> None:
    joined = CoalescingTransport(transport, asyncio.get_running_loop())
    joined.write(b"last")
    joined.abort()
    await turn()
    assert (transport.packets, transport.ended) == ([], ["aborted"])


async def test_other_calls_go_to_the_transport(transport: Any) -> None:
    assert CoalescingTransport(transport, asyncio.get_running_loop()).get_extra_info("peername") == "extra peername"

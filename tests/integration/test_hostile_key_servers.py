"""Whatever the server of a key set answers, the previous keys stay valid until the next valid set replaces them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from cli.local.embedded.ports import LOOPBACK
from dashboard.access import key_set_source
from dashboard.access.key_set_source import KeySetSource, KeySetUnavailable
from dashboard.access.learner_tokens import KeySet
from tests.support.waiting import eventually

Saying = Callable[[asyncio.StreamWriter], Awaitable[None]]


def key_set(kid: str) -> bytes:
    public = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))
    return json.dumps({"keys": [public | {"kid": kid}]}).encode()


def whole(body: bytes, status: bytes = b"200 OK", headers: bytes = b"content-type: application/json\r\n") -> Saying:
    """Send a complete answer."""
    length = b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    return said(b"HTTP/1.1 %s\r\n%s%s%s" % (status, headers, length, body))


def said(content: bytes) -> Saying:
    """Send this and close the connection."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()

    return say


def endless(start: bytes, part: bytes, pause: float = 0) -> Saying:
    """Send a start, then repeat a part until the client disconnects."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return say


async def nothing(writer: asyncio.StreamWriter) -> None:
    """Read the request and wait until the client disconnects."""
    await writer.wait_closed()


class Issuer:
    """A key set server whose answers the test chooses."""

    def __init__(self) -> None:
        self.says: Saying = nothing
        self.asked: list[str] = []
        self.location = ""
        self.open = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(head.split()[1].decode())
            await self.says(writer)
            writer.close()
            await writer.wait_closed()
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self.open -= 1


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def issuer(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Issuer]:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(LOOPBACK).configure_cert(context)
    issuer = Issuer()
    server = await asyncio.start_server(issuer.answer, LOOPBACK, 0, ssl=context)
    async with server:
        issuer.location = f"https://{LOOPBACK}:{server.sockets[0].getsockname()[1]}/jwks.json"
        yield issuer
        await eventually(lambda: not issuer.open)


OK: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
HOSTILE: dict[str, Saying] = {
    "nothing": nothing,
    "a head that drips": endless(b"HTTP/1.1 200 OK\r\nx-long: ", b"x", 0.001),
    "a body that drips": endless(OK + b"content-length: 900000\r\n\r\n", b" ", 0.001),
    "a chunked body that drips": endless(OK + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n", 0.001),
    "a head without end": endless(b"HTTP/1.1 200 OK\r\n", b"x-more: 1\r\n" * 1_000),
    "interim answers without end": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000),
    "a body without end": endless(OK + b"transfer-encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65_536 + b"\r\n"),
    "a body without length or end": endless(OK + b"\r\n", b" " * 65_536),
    "half a body": said(OK + b"content-length: 900000\r\n\r\n{"),
    "a redirect": whole(b"", b"302 Found", b"location: /other.json\r\n"),
    "another content type": whole(b"<!doctype html><p>Sign in", headers=b"content-type: text/html\r\n"),
    "a compressed answer": whole(b"\x1f\x8b" + b"x" * 99, headers=b"content-encoding: gzip\r\n"),
    "no HTTP": said(b"-ERR unknown command\r\n\r\n"),
    "two lengths": said(OK + b"content-length: 2\r\ncontent-length: 900000\r\n\r\n{}"),
    "an error with a key set": whole(key_set("error"), b"500 Internal Server Error"),
    "a set without a key": whole(b'{"keys":[]}'),
}


@pytest.mark.parametrize("says", HOSTILE.values(), ids=HOSTILE.keys())
async def test_the_keys_of_before_stay_in_force_and_the_next_good_set_replaces_them(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch, says: Saying
) -> None:
    keys = KeySet()
    source = KeySetSource(issuer.location, keys)
    issuer.says = whole(key_set("one"))
    await source.load()
    issuer.says = says
    with monkeypatch.context() as impatient:
        impatient.setattr(key_set_source, "_LONGEST_SECONDS", 0.5)
        for _ in range(2):
            with pytest.raises(KeySetUnavailable):
                await source.load()
    assert keys.find("one", "ES256")
    issuer.says = whole(key_set("two"))
    await source.load()
    assert keys.find("two", "ES256")
    assert not keys.find("one", "ES256")
    assert issuer.asked == ["/jwks.json"] * 4


async def test_the_end_of_the_process_does_not_wait_for_an_answer(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_LONGEST_SECONDS", "_PATIENCE_SECONDS"):
        monkeypatch.setattr(key_set_source, name, 3_600.0)
    stop = asyncio.Event()
    following = asyncio.create_task(KeySetSource(issuer.location, KeySet()).run(stop))
    await eventually(lambda: issuer.asked)
    stop.set()
    await following


async def test_a_day_counts_from_the_request_not_from_its_slow_answer(issuer: Issuer) -> None:
    clock, keys = [0.0], KeySet()
    source = KeySetSource(issuer.location, keys, lambda: clock[0])
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def slowly(writer: asyncio.StreamWriter) -> None:
        asked.set()
        await may_answer.wait()
        await whole(key_set("one"))(writer)

    issuer.says = slowly
    loading = asyncio.create_task(source.load())
    await asked.wait()
    clock[0] = key_set_source.KEPT.total_seconds()
    may_answer.set()
    await loading
    clock[0] += 1
    issuer.says = whole(b"")
    await source._load_or_keep()
    assert not keys.find("one", "ES256")

"""An offered protocol upgrade is ignored: the answer is unchanged, and no byte of the body is lost."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dashboard.app import create_app as create_dashboard
from dashboard.questions.live import SOCKET_PATH
from dashboard.server import open_services
from ingest.routes import BATCH, TRACK
from ingest.server import create_app as create_ingest
from runtime.settings import Settings
from schemas.entry import decode
from stream.server.connection import Redis
from tests.support.access import READ_KEY, WRITE_KEY
from tests.support.entries import stream_entries
from tests.support.reading import SYSTEM
from tests.support.serving import served

EVENT = json.dumps({"event_type": "xp_earned", "user_id": "anna", "properties": {"xp_amount": 5}}).encode()
MESSAGE = json.dumps(
    {"type": "track", "event": "XP Earned", "userId": "anna", "properties": {"xp_amount": 5}, "messageId": "m-1"}
).encode()
BASIC = b"Basic " + base64.b64encode(f"{WRITE_KEY}:".encode())

H2C = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAAB\r\n"
OFFERS = {
    "the JDK's client, h2c": H2C,
    "TLS, RFC 2817": b"connection: Upgrade\r\nupgrade: TLS/1.0\r\n",
    "several protocols": b"connection: keep-alive, Upgrade\r\nupgrade: h2c, TLS/1.0, websocket\r\n",
    "odd case": b"CONNECTION: uPGRADE\r\nUpGrAdE: H2C\r\n",
    "two lines": b"connection: keep-alive\r\nconnection: upgrade\r\nupgrade: h2c\r\nupgrade: foo/1\r\n",
    "nothing": b"connection: upgrade\r\nupgrade: \r\n",
    "a WebSocket": b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
}
Place = tuple[str, int]


@pytest.fixture
async def ingest(settings: Settings, redis: Redis) -> AsyncIterator[Place]:
    async with served(create_ingest(settings, redis, asyncio.Event())) as address:
        host, _, port = address.partition(":")
        yield host, int(port)


@pytest.fixture
async def dashboard(settings: Settings) -> AsyncIterator[Place]:
    stop = asyncio.Event()
    async with (
        open_services(settings) as services,
        served(create_dashboard(services, stop), live=stop) as address,
    ):
        host, _, port = address.partition(":")
        yield host, int(port)


def post(path: str, offer: bytes, body: bytes, *, chunked: bool = False, version: bytes = b"1.1") -> bytes:
    framing = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % len(body)
    authorization = BASIC if path.startswith("/v1/") else b"Bearer " + WRITE_KEY.encode()
    head = b"POST %s HTTP/%s\r\nhost: x\r\nauthorization: %s\r\ncontent-type: application/json\r\n%s%s\r\n\r\n" % (
        path.encode(),
        version,
        authorization,
        offer,
        framing,
    )
    if not chunked:
        return head + body
    middle = len(body) // 2
    return head + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:middle], body[middle:], b""))


async def said(place: Place, *parts: bytes, least: int = 1) -> bytes:
    """Send each part as a separate segment; return the output once `least` complete answers have arrived."""
    reader, writer = await asyncio.open_connection(*place)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            # the server reads it before the next one arrives
            await asyncio.sleep(0)
        reply = b""
        while whole_answers(reply) < least:
            more = await asyncio.wait_for(reader.read(65_536), 30)
            if not more:
                break
            reply += more
        return reply
    finally:
        writer.close()


def whole_answers(reply: bytes) -> int:
    count = 0
    while found := re.match(rb"HTTP/1\.1 (\d+) .*?\r\n\r\n", reply, re.DOTALL):
        length = re.search(rb"content-length: (\d+)", found[0])
        rest = reply[found.end() :]
        size = int(length[1]) if length else 0
        if len(rest) < size:
            break
        reply = rest[size:]
        count += found[1] != b"100"
    return count


def statuses(reply: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", reply)]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
async def test_an_offer_is_ignored_and_the_body_is_read(
    ingest: Place, redis: Redis, offer: bytes, chunked: bool
) -> None:
    for path, body, status in ((TRACK, EVENT, 202), (BATCH, b"[" + EVENT + b"]", 202), ("/v1/track", MESSAGE, 200)):
        assert statuses(await said(ingest, post(path, offer, body, chunked=chunked))) == [status]
    assert [decode(fields).event_type for _, fields in await stream_entries(redis)] == ["xp_earned"] * 3


async def test_a_head_with_an_offer_may_come_in_any_pieces(ingest: Place, redis: Redis) -> None:
    request = post(TRACK, H2C, EVENT)
    body = len(request) - len(EVENT)
    for cuts in ([body], [body - 1], [body + 1], [20, 200, body], list(range(1, len(request)))):
        parts = [request[start:end] for start, end in zip([0, *cuts], [*cuts, len(request)], strict=True)]
        assert statuses(await said(ingest, *parts)) == [202]
    assert len(await stream_entries(redis)) == 5


async def test_what_comes_behind_the_body_is_the_next_request(ingest: Place, redis: Redis) -> None:
    plain, offered = post(TRACK, b"", EVENT), post(TRACK, H2C, EVENT)
    chunked = post(TRACK, H2C, EVENT, chunked=True)
    reply = await said(ingest, offered + plain + chunked + offered + plain, least=5)
    assert statuses(reply) == [202] * 5
    assert len(await stream_entries(redis)) == 5


async def test_expect_100_continue_is_answered(ingest: Place) -> None:
    request = post(TRACK, H2C + b"expect: 100-continue\r\n", EVENT)
    body = len(request) - len(EVENT)
    assert statuses(await said(ingest, request[:body], request[body:])) == [100, 202]


async def test_an_offer_over_http_1_0_is_ignored(ingest: Place) -> None:
    assert statuses(await said(ingest, post(TRACK, H2C, EVENT, version=b"1.0"))) == [202]


async def test_an_offer_without_a_body_is_ignored(ingest: Place) -> None:
    assert statuses(await said(ingest, b"GET /livez HTTP/1.1\r\nhost: x\r\n" + H2C + b"\r\n")) == [200]


async def test_a_tunnel_is_refused(ingest: Place, dashboard: Place) -> None:
    for place in (ingest, dashboard):
        reply = await said(place, b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n")
        assert statuses(reply) == [405]
        assert b'"code":"method_not_allowed"' in reply


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
async def test_a_question_with_an_offer_is_answered(dashboard: Place, offer: bytes) -> None:
    head = b"GET %s HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\n" % (SYSTEM.encode(), READ_KEY.encode())
    assert statuses(await said(dashboard, head + offer + b"\r\n")) == [200]
    assert statuses(await said(dashboard, head + offer + b"content-length: 2\r\n\r\n{}")) == [200]


HANDSHAKE = {
    b"host": b"x",
    b"connection": b"Upgrade",
    b"upgrade": b"websocket",
    b"sec-websocket-version": b"13",
    b"sec-websocket-key": b"AAAAAAAAAAAAAAAAAAAAAA==",
}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 401),
        ({b"upgrade": b"WebSocket", b"connection": b"keep-alive, upgrade"}, 401),
        ({b"upgrade": b"h2c"}, 426),
        ({b"sec-websocket-version": b"8"}, 426),
        ({b"sec-websocket-key": b"short"}, 426),
        ({b"content-length": b"2"}, 426),
    ],
)
async def test_only_a_handshake_opens_the_socket_of_live_events(
    dashboard: Place, change: dict[bytes, bytes], status: int
) -> None:
    reply = await said(dashboard, handshake(change) + (b"{}" if b"content-length" in change else b""))
    # only a handshake is asked for credentials
    assert statuses(reply) == [status]
    assert b"application/problem+json" in reply


async def test_the_socket_of_live_events_takes_an_additional_slash(dashboard: Place) -> None:
    assert statuses(await said(dashboard, handshake({}, b"/"))) == [401]
    assert statuses(await said(dashboard, handshake({}, b"/more"))) == [404]


def handshake(change: dict[bytes, bytes], added: bytes = b"") -> bytes:
    lines = [b"%s: %s" % header for header in (HANDSHAKE | change).items()]
    return b"\r\n".join([b"GET %s%s HTTP/1.1" % (SOCKET_PATH.encode(), added), *lines]) + b"\r\n\r\n"


JAVA_CLIENT = """
import java.net.URI;
import java.net.http.*;

public class Send {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int sent = 0; sent < 3; sent++) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0]))
                .header("Content-Type", "application/json").header("Authorization", "Bearer " + arguments[1])
                .POST(HttpRequest.BodyPublishers.ofString(arguments[2])).build();
            System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
        }
    }
}
"""


# not required in CI, because a JDK is large: the offers above equal those of its client byte for byte
@pytest.mark.skipif(shutil.which("javac") is None, reason="there is no JDK")
async def test_the_client_of_the_jdk_is_answered(ingest: Place, redis: Redis, tmp_path: Path) -> None:
    program = tmp_path / "Send.java"
    program.write_text(JAVA_CLIENT)
    url = f"http://{ingest[0]}:{ingest[1]}{TRACK}"
    client = await asyncio.create_subprocess_exec(
        "java", str(program), url, WRITE_KEY, EVENT.decode(), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await client.communicate()
    assert told.split() == [b"202"] * 3
    assert len(await stream_entries(redis)) == 3


@pytest.mark.parametrize(
    ("query", "header", "status"),
    [
        (b"?last_id=~" + b"A" * 9_000, b"", b"414"),
        (b"", b"x-long: " + b"a" * 9_000 + b"\r\n", b"431"),
        (b"", b"x-many: a\r\n" * 200, b"431"),
    ],
    ids=["a long line", "a long header", "many headers"],
)
async def test_a_handshake_that_cannot_be_read_is_refused_and_its_connection_closed(
    dashboard: Place, query: bytes, header: bytes, status: bytes
) -> None:
    reader, writer = await asyncio.open_connection(*dashboard)
    head = b"GET %s%s HTTP/1.1\r\nhost: x\r\n%s%s\r\n"
    writer.write(head % (SOCKET_PATH.encode(), query, header, OFFERS["a WebSocket"]))
    answer = await reader.read()
    assert answer.split(b" ", 2)[1] == status
    writer.close()
    await writer.wait_closed()

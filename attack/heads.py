"""Requests with a wrong, odd or long request line, headers or framing. Seeded, pure."""

from __future__ import annotations

from random import Random
from typing import Final

from attack.texts import MAKERS
from dashboard.questions.live import SOCKET_PATH
from ingest.routes import BATCH, TRACK

_METHODS: Final = (b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"CONNECT", b"TRACE", b"PRI", b"get", b"G\x00T", b"")
_VERSIONS: Final = (
    b"HTTP/1.1",
    b"HTTP/1.1",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"HTTP/0.9",
    b"HTTP/1.10",
    b"ICY",
    b"",
)
_TARGETS: Final = (
    b"/livez",
    b"/readyz",
    b"/metrics",
    b"/docs",
    b"/openapi.json",
    TRACK.encode(),
    BATCH.encode(),
    b"/v1/import",
    b"/api/analytics/learning/overview",
    b"/api/analytics/learning/heatmap",
    b"/api/analytics/gamification/progress",
    b"/api/analytics/system/metrics",
    b"/api/analytics/events",
    b"/api/analytics/privacy/users/anna/export",
    SOCKET_PATH.encode(),
    b"*",
    b"http://evil.example/",
    b"//evil.example/livez",
    b"/../../etc/passwd",
    b"/%00",
    b"/%ff%fe",
    b"/" + b"a/" * 500,
)
_PARAMETERS: Final = (
    b"user_id=",
    b"days=",
    b"tz=",
    b"hours=",
    b"limit=",
    b"cursor=",
    b"since=",
    b"until=",
    b"event_types=",
    b"last_id=",
    b"session_id=",
    b"a=",
)
_NUMBERS: Final = (
    b"-1",
    b"0",
    b"99999999999999999999",
    b"1e9",
    b"NaN",
    b"%00",
    b"%F0%9F",
    b"1" * 5_000,
    b"Europe/../UTC",
    b"",
)
_HEADERS: Final = (
    b"Host: {host}",
    b"Host: evil.example",
    b"Host: ",
    b"Origin: http://[::1",
    b"Origin: null",
    b"Origin: https://evil.example",
    b"Origin: http://{host}:99999999",
    b"Authorization: Bearer {read_key}",
    b"Authorization: Bearer {write_key}",
    b"Authorization: Basic ====",
    b"Authorization: Bearer eyJhbGciOiJub25lIn0.e30.",
    b"X-API-Key: \xff\xfe",
    b"Content-Type: application/json",
    b"Content-Type: application/json; charset=utf-8; charset=latin-1",
    b"Content-Length: 5",
    b"Content-Length: -1",
    b"Content-Length: 99999999999999999999",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding:\x0bchunked",
    b"Content-Encoding: gzip, gzip",
    b"Expect: 100-continue",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Connection: close",
    b"Connection: keep-alive, , close",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    b"Sec-WebSocket-Protocol: bearer.x, analytics.v1, ,,",
    b"X-Forwarded-For: 1.2.3.4, [::1]:99, ' OR 1=1",
    b"X-Request-ID: \x1b[31m",
    b"X-Analytics-Dropped: 99999999999999999999",
    b"Last-Event-ID: 99999999999999999999",
    b"If-None-Match: *",
    b"Range: bytes=0-,0-,0-",
    b" folded: yes",
    b"No-Colon",
    b": no name",
)
_CHUNKS: Final = (
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"0\r\nHost: evil.example\r\nAuthorization: Bearer {write_key}\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"1;" + b"x" * 300 + b"\r\na\r\n",
    b"zz\r\n",
    b"1\r\na\r\n",
    b"-1\r\n",
    b"{}",
    b"hello",
)


def head(rng: Random) -> bytes:
    """Return one request or several pipelined ones, with odd heads and bodies."""
    return b"".join(_one(rng) for _ in range(rng.choice((1, 1, 1, 2, 20))))


def _one(rng: Random) -> bytes:
    line = b" ".join((rng.choice(_METHODS), _target(rng), rng.choice(_VERSIONS)))
    lines = [line, b"Host: {host}"] if rng.random() < 0.8 else [line]
    for _ in range(rng.choice((0, 1, 2, 4, 8))):
        lines.extend([rng.choice(_HEADERS)] * rng.choice((1, 1, 1, 1, 2, 200)))
    body = b"".join(rng.choice(_CHUNKS) * rng.choice((1, 1, 300)) for _ in range(rng.randint(0, 3)))
    return b"\r\n".join(lines) + rng.choice((b"\r\n\r\n", b"\r\n\r\n", b"\r\n\r\n", b"\n\n", b"\r\n")) + body


def _target(rng: Random) -> bytes:
    target = rng.choice(_TARGETS)
    if rng.random() < 0.5:
        return target
    parameters = [_parameter(rng) for _ in range(rng.choice((1, 2, 3, 400)))]
    return target + b"?" + b"&".join(parameters)


def _parameter(rng: Random) -> bytes:
    value = rng.choice(_NUMBERS)
    if rng.random() < 0.3:
        value = rng.choice(MAKERS)(rng).encode("utf-8", "surrogatepass").translate(None, b" \r\n\0")
    return rng.choice(_PARAMETERS) + value

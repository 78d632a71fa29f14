"""Attacks that did harm once or are known to harm other services. Every run begins with them."""

from __future__ import annotations

import gzip
import json
from functools import partial
from typing import Any, Final

from attack.attempt import Attempt, Form, Service
from attack.frames import CLOSE, PING, TEXT, frame
from dashboard.questions.live import SOCKET_PATH
from ingest.routes import BATCH, TRACK

_KIBIBYTE: Final = 1024
_MEBIBYTE: Final = 1024**2
_EVENT: Final[dict[str, Any]] = {"event_type": "xp_earned", "user_id": "anna", "properties": {"xp_amount": 5}}
_JSON: Final = b"Content-Type: application/json\r\n"
_GOOD_KEY: Final = b"Authorization: Bearer {write_key}\r\n"
_BAD_KEY: Final = b"Authorization: Bearer nobody\r\n"
_HOST: Final = b"Host: {host}\r\n"
_SCRIPT: Final = "/docs/swagger-ui-bundle.js"

_to_ingest: Final = partial(Attempt, service=Service.INGEST)
_frames: Final = partial(Attempt, service=Service.DASHBOARD, form=Form.FRAMES)

DEEP_TEXT: Final = b"[" * 1_100 + b'"' + b'\\"' * 14_000
"""Nested too deeply for a parser, then an unterminated string."""


def _raw(lineage: str, service: Service = Service.INGEST, **options: Any) -> Attempt:
    return Attempt(lineage, service, Form.RAW, **options)


def corpus() -> list[Attempt]:
    """Return every known attack."""
    return [*_bodies(), *_bombs(), *_texts(), *_heads(), *_framing(), *_sockets(), *_websockets(), *_questions()]


def _bodies() -> list[Attempt]:
    numbers = b'[{"event_type":"xp_earned","user_id":"anna","properties":{"xp_amount":'
    bodies = {
        "deep brackets, then a text without end": DEEP_TEXT,
        "half a million brackets": b"[" * 500_000,
        "objects in each other": b'{"a":' * 150_000 + b"1" + b"}" * 150_000,
        "brackets that open and close": b"[]," * 300_000,
        "deep, closed, again": (b"[" * 1_500 + b"]" * 1_500 + b",") * 300,
        "one text without end": b'["' + b"x" * 1_000_000,
        "backslashes": b'["' + b"\\" * 1_000_000,
        "a million digits": numbers + b"9" * 10**6 + b"}}]",
        "a huge exponent": numbers + b"1e999999999}}]",
        "a hundred thousand empty events": b"[" + b"{}," * 100_000 + b"{}]",
        "2,500 events of the wrong type": json.dumps([{**_EVENT, "event_type": "x" * 300}] * 2_500).encode(),
        "one name a hundred thousand times": b'[{"a":1' + b',"a":1' * 100_000 + b"}]",
        "sixty thousand names": json.dumps([{f"k{number}": 1 for number in range(60_000)}]).encode(),
        "the events twice": b'{"events":[],"events":[' + b'{"a":1},' * 50_000 + b"{}]}",
        "lone surrogates": json.dumps([{**_EVENT, "user_id": "\ud800" * 80}] * 500).encode(),
        "NUL in every text": json.dumps([{**_EVENT, "user_id": "a\0b", "event_id": "\0"}] * 500).encode(),
        "control characters": json.dumps([{**_EVENT, "user_id": "\x1b[2J\x9b\u202e"}] * 500).encode(),
        "combining marks": json.dumps([{**_EVENT, "user_id": "e" + "\u0301" * 400}] * 300).encode(),
        "joiners": json.dumps([{**_EVENT, "user_id": "a\u200db" * 150}] * 300).encode(),
        "invalid UTF-8": b"[" + b"\xff" * 500_000 + b"]",
    }
    long_ids = json.dumps([{**_EVENT, "event_id": f"order-{number}" * 40} for number in range(1_000)]).encode()
    return [
        *(_to_ingest(f"body: {name}", form=Form.BATCH, payload=body) for name, body in bodies.items()),
        _to_ingest("body: long ids", form=Form.BATCH, payload=long_ids),
        _to_ingest("body: deep text as one event", form=Form.TRACK, payload=DEEP_TEXT[:30_000]),
        _to_ingest("body: deep text to Segment", form=Form.SEGMENT, payload=DEEP_TEXT[:30_000]),
        _to_ingest("body: a large good batch", form=Form.BATCH, payload=json.dumps([_EVENT] * 2_500).encode()),
    ]


def _bombs() -> list[Attempt]:
    bombs = {
        "sixteen megabytes of blanks": gzip.compress(b" " * 16 * _MEBIBYTE, 9, mtime=0),
        "a hundred members": gzip.compress(b" " * 10 * _KIBIBYTE, mtime=0) * 100,
        "ten thousand members": gzip.compress(b"", mtime=0) * 10_000,
        "gzip in gzip": gzip.compress(gzip.compress(b" " * 4 * _MEBIBYTE, mtime=0), mtime=0),
        "half a member": gzip.compress(b"[" + b"{}," * 100_000, mtime=0)[:-9],
    }
    return [
        *(_to_ingest(f"gzip: {name}", form=Form.GZIPPED_BATCH, payload=body) for name, body in bombs.items()),
        _to_ingest("gzip: deep text", form=Form.GZIP_BATCH, payload=DEEP_TEXT),
        _to_ingest("gzip: deep text as one event", form=Form.GZIP_TRACK, payload=DEEP_TEXT[:30_000]),
    ]


def _texts() -> list[Attempt]:
    texts = {
        "phone numbers": "+49 30 1234567 " * 40,
        "digits and blanks": "1 " * 300,
        "digits and dashes": "0-0(0)" * 100,
        "card numbers": "4111 1111 1111 1112 " * 30,
        "digits": "4" * 600,
        "bank accounts": "DE00370400440532013000" * 27,
        "base64": "TVRJek5EVTJOemc1TURFeU16UTE" * 22,
        "percent signs": "%2525252540" * 60,
        "at signs": "a@" * 300,
        "dots after an at sign": "a@" + "a." * 300,
        "colons": "1:" * 300,
        "hexadecimal": "deadbeef" * 75,
        "slashes": "/" * 600,
        "full-width digits": "\uff11 " * 300,
        "the beginning of tokens": "eyJhbGciOi." * 60,
    }
    batch = [
        {
            "event_type": "achievement_earned",
            "user_id": "anna",
            "properties": {"achievement_id": "a", "achievement_name": ("0 " * 100)[: 200 - number % 10]},
        }
        for number in range(2_500)
    ]
    return [
        *(_to_ingest(f"text: {name}", form=Form.TEXTS, payload=text.encode()) for name, text in texts.items()),
        _to_ingest("text: 40 names like phone numbers", form=Form.BATCH, payload=json.dumps(batch[:40]).encode()),
        _to_ingest("text: 2,500 names like phone numbers", form=Form.BATCH, payload=json.dumps(batch).encode()),
    ]


def _heads() -> list[Attempt]:
    good = json.dumps(_EVENT).encode()
    length = b"Content-Length: %d\r\n" % len(good)
    post = b"POST " + TRACK.encode() + b" HTTP/1.1\r\n"
    refused = {
        "two hosts": post + _HOST + b"Host: evil.example\r\n" + _GOOD_KEY + _JSON + length + b"\r\n" + good,
        "no host": post + _GOOD_KEY + _JSON + length + b"\r\n" + good,
        "two lengths": post + _HOST + _GOOD_KEY + _JSON + b"Content-Length: 3\r\n" + length + b"\r\n" + good,
        "a length and chunks": post + _HOST + _GOOD_KEY + _JSON + b"Transfer-Encoding: chunked\r\n" + length + b"\r\n",
        "bare line feeds": (post + _HOST + _GOOD_KEY + _JSON + length + b"\r\n").replace(b"\r\n", b"\n") + good,
    }
    get = b"GET /livez HTTP/1.1\r\n" + _HOST
    odd = {
        "a long route": b"GET /" + b"a/" * 8_000 + b" HTTP/1.1\r\n" + _HOST + b"\r\n",
        "a route without end": b"GET /" + b"%2f" * 20_000,
        "two thousand headers": get + b"".join(b"X-%d: x\r\n" % number for number in range(2_000)) + b"\r\n",
        "one header 5,000 times": get + b"Cookie: a=b\r\n" * 5_000 + b"\r\n",
        "a header without end": get + b"X-Long: " + b"x" * 100_000,
        "control characters": get + b"X-Request-ID: \x1b[31m\x07\r\nUser-Agent: \x9b2J\r\n\r\n",
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500,
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    }
    return [
        *(_raw(f"head: {name}", payload=head, must_be_refused=True) for name, head in refused.items()),
        *(_raw(f"head: {name}", service, payload=head) for name, head in odd.items() for service in Service),
        *(_raw("head: a pipeline of 500", service, payload=get + b"\r\n", repeat=500) for service in Service),
        *(_raw("head: nonsense", service, payload=b"nonsense\r\n\r\n", connections=50) for service in Service),
    ]


def _framing() -> list[Attempt]:
    chunked = b"POST " + TRACK.encode() + b" HTTP/1.1\r\n" + _HOST + _JSON + b"Transfer-Encoding: chunked\r\n"
    good = json.dumps(_EVENT).encode()
    body = b"%x\r\n%s\r\n0\r\n" % (len(good), good)
    tiny = b"".join(b"1\r\n%c\r\n" % byte for byte in b"[" + b" " * 20_000 + b"]")
    return [
        _raw(
            "trailer: a good key behind a bad one",
            payload=chunked + _BAD_KEY + b"\r\n" + body + _GOOD_KEY + b"\r\n",
            must_be_refused=True,
        ),
        _raw(
            "trailer: a good key alone",
            payload=chunked + b"\r\n" + body + _GOOD_KEY + b"\r\n",
            must_be_refused=True,
        ),
        _raw(
            "trailer: a type behind another",
            payload=chunked.replace(_JSON, b"Content-Type: text/plain\r\n" + _GOOD_KEY)
            + b"\r\n"
            + body
            + _JSON
            + b"\r\n",
            must_be_refused=True,
        ),
        _raw(
            "trailer: 3,000 of them",
            payload=chunked + _GOOD_KEY + b"\r\n" + body + b"X-Trailer: x\r\n" * 3_000 + b"\r\n",
        ),
        _raw("chunks: of one byte", payload=chunked + _GOOD_KEY + b"\r\n" + tiny + b"0\r\n\r\n"),
        _raw(
            "chunks: a long extension",
            payload=chunked + b"\r\n1;" + b"x" * 200_000 + b"\r\na\r\n0\r\n\r\n",
        ),
    ]


def _sockets() -> list[Attempt]:
    get = b"GET %s HTTP/1.1\r\n" + _HOST + b"\r\n"
    slow = b"POST " + BATCH.encode() + b" HTTP/1.1\r\n" + _HOST + _GOOD_KEY + _JSON + b"Content-Length: 1000000\r\n\r\n"
    idle = [
        _raw(
            "socket: 60 readers that read nothing",
            service,
            payload=get % _SCRIPT.encode(),
            connections=60,
            hold_seconds=2.0,
            reads=False,
        )
        for service in Service
    ]
    one_byte = [
        _raw("socket: 1,100 of one byte", service, payload=b"G", connections=1_100, hold_seconds=2.0)
        for service in Service
    ]
    return [
        *idle,
        *one_byte,
        _raw(
            "socket: 40 slow bodies",
            payload=slow + b"[" + b" " * 20_000,
            connections=40,
            piece_bytes=2_000,
            pause_seconds=0.05,
            hold_seconds=0.5,
        ),
        _raw("socket: byte by byte", payload=get % b"/livez", piece_bytes=1, pause_seconds=0.005),
        _raw(
            "socket: answers that nobody reads",
            Service.DASHBOARD,
            payload=get % b"/openapi.json",
            repeat=300,
            connections=20,
            hold_seconds=2.0,
            reads=False,
        ),
    ]


def _websockets() -> list[Attempt]:
    handshake = (
        f"GET {SOCKET_PATH} HTTP/1.1\r\nHost: {{host}}\r\nAuthorization: Bearer {{read_key}}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    ).encode()
    origins = (
        b"http://[::1",
        b"http://[",
        b"null",
        b"https://evil.example",
        b"http://{host}.evil.example",
        b"//",
    )
    sent = {
        "a length of 2^63": frame(TEXT, b"x", claims=2**63 - 1),
        "a message of a thousand fragments": frame(TEXT, b"x", first=0) + frame(0, b"x", first=0) * 1_000,
        "frames that are not masked": frame(TEXT, b"x", masked=False),
        "reserved bits": frame(TEXT, b"x", first=0xF0),
        "a long ping": frame(PING, b"x" * 5_000),
        "two ends": frame(CLOSE, b"\x03\xe8") * 2,
        "an end of one byte": frame(CLOSE, b"\x03"),
        "invalid UTF-8": frame(TEXT, b"\xff"),
    }
    return [
        *(
            _raw(
                f"websocket: origin {origin!r}",
                Service.DASHBOARD,
                payload=handshake + b"Origin: " + origin + b"\r\n\r\n",
                must_be_refused=True,
            )
            for origin in origins
        ),
        *(_frames(f"websocket: {name}", payload=frames) for name, frames in sent.items()),
        _frames("websocket: 150 of one key", payload=b"", connections=150, hold_seconds=1.0),
        _frames(
            "websocket: pings without a reader",
            payload=frame(PING, b"x" * 125) * 1_000,
            repeat=200,
            hold_seconds=2.0,
            reads=False,
        ),
        _frames(
            "websocket: messages without a reader",
            payload=frame(TEXT, b"x" * 4_000) * 100,
            repeat=50,
            hold_seconds=2.0,
            reads=False,
        ),
    ]


def _questions() -> list[Attempt]:
    asked = {
        "3,000 parameters": b"/api/analytics/learning/overview?" + b"a=1&" * 3_000,
        "a name like a path": b"/api/analytics/learning/overview?user_id=anna&tz=" + b"../" * 1_000,
        "a huge number": b"/api/analytics/learning/heatmap?user_id=anna&days=" + b"9" * 5_000,
        "a search for everything": b"/api/analytics/events?limit=500&since=0001-01-01T00:00:00Z",
        "a damaged cursor": b"/api/analytics/events?cursor=" + b"AAAA" * 2_000,
        "percent signs": b"/api/analytics/events?session_id=" + b"%25" * 3_000,
        "NUL": b"/api/analytics/learning/overview?user_id=a%00b",
    }
    get = b"GET %s HTTP/1.1\r\n" + _HOST + b"Authorization: Bearer {read_key}\r\n\r\n"
    return [_raw(f"question: {name}", Service.DASHBOARD, payload=get % path) for name, path in asked.items()]

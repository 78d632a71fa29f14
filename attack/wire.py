"""Turns an attempt into the bytes of one connection. Pure."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from attack.attempt import Attempt, Form
from dashboard.questions.live import SOCKET_PATH
from ingest.routes import BATCH, TRACK
from schemas.limits import MAX_BODY_BYTES

_SEGMENT: Final = "/v1/batch"
_MAX_EVENTS: Final = 40
_LONGEST_TEXT: Final = 512

_PATHS: Final = {
    Form.TRACK: TRACK,
    Form.GZIP_TRACK: TRACK,
    Form.BATCH: BATCH,
    Form.GZIP_BATCH: BATCH,
    Form.GZIPPED_BATCH: BATCH,
    Form.TEXTS: BATCH,
    Form.SEGMENT: _SEGMENT,
}
_COMPRESSED: Final = (Form.GZIP_TRACK, Form.GZIP_BATCH)
_DECLARED_GZIP: Final = (*_COMPRESSED, Form.GZIPPED_BATCH)


@dataclass(frozen=True, slots=True)
class Access:
    """The address of a service, and the keys it accepts."""

    host: str
    port: int
    write_key: str
    read_key: str


def on_the_wire(attempt: Attempt, access: Access) -> bytes:
    """Return all bytes that one connection sends, including repetitions."""
    if attempt.form is Form.RAW:
        return _filled_in(attempt.payload, access) * attempt.repeat
    if attempt.form is Form.FRAMES:
        return _handshake(access) + attempt.payload * attempt.repeat
    body = events_with_text(attempt.payload) if attempt.form is Form.TEXTS else attempt.payload
    if attempt.form in _COMPRESSED:
        body = gzip.compress(body, mtime=0)
    return _request(attempt.form, body, access)


def events_with_text(payload: bytes) -> bytes:
    """Return a batch with the text in every text field of its events, with varied ends, within the size limit."""
    text = payload.decode("utf-8", "surrogatepass" if _is_text(payload) else "replace")
    places = _places()
    events = []
    size = 2
    for number in range(_MAX_EVENTS):
        event = places[number % len(places)](text[number : number + _LONGEST_TEXT] or str(number))
        encoded = json.dumps(event).encode()
        size += len(encoded) + 1
        if size > MAX_BODY_BYTES:
            break
        events.append(encoded)
    return b"[" + b",".join(events) + b"]"


def _is_text(payload: bytes) -> bool:
    try:
        payload.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


@cache
def _places() -> Sequence[Any]:
    def learner(text: str, kind: str, **properties: object) -> dict[str, Any]:
        return {"event_type": kind, "user_id": text, "properties": properties}

    return (
        lambda text: learner("anna", "achievement_earned", achievement_id=text[:200], achievement_name=text[:200]),
        lambda text: learner(text, "material_view", material_id=text, material_type=text),
        lambda text: {
            "event_type": "api_error",
            "properties": {"endpoint": f"/{text[:199]}", "method": "GET", "error_type": text},
        },
        lambda text: learner("anna", "xp_earned", xp_amount=1, source=text) | {"event_id": text},
        lambda text: learner("anna", "ai_message_received", response_time_ms=1, model=text, conversation_id=text),
        lambda text: {"event_type": text, "user_id": "anna", text[:60]: text, "properties": {text[:60]: text}},
    )


def _request(form: Form, body: bytes, access: Access) -> bytes:
    credentials = f"Bearer {access.write_key}"
    if form is Form.SEGMENT:
        credentials = "Basic " + base64.b64encode(f"{access.write_key}:".encode()).decode()
    lines = [
        f"POST {_PATHS[form]} HTTP/1.1",
        f"Host: {access.host}:{access.port}",
        f"Authorization: {credentials}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if form in _DECLARED_GZIP:
        lines.append("Content-Encoding: gzip")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _handshake(access: Access) -> bytes:
    lines = (
        f"GET {SOCKET_PATH} HTTP/1.1",
        f"Host: {access.host}:{access.port}",
        f"Authorization: Bearer {access.read_key}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def _filled_in(payload: bytes, access: Access) -> bytes:
    return (
        payload.replace(b"{write_key}", access.write_key.encode())
        .replace(b"{read_key}", access.read_key.encode())
        .replace(b"{host}", f"{access.host}:{access.port}".encode())
    )

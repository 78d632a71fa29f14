"""Reads the body of a request: JSON, plain or gzipped, up to a size limit."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from schemas.limits import MAX_BODY_BYTES
from web.problems import Refusal

_GZIP: Final = 16 + zlib.MAX_WBITS
_MAX_MEMBERS: Final = 100
_JSON: Final = "application/json"
_UTF_8: Final = ("utf-8", "utf8")
_ENCODINGS: Final = ("", "identity", "gzip")

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_OTHER_MARKS: Final = (b"\xfe\xff", b"\xff\xfe", b"\x00\x00\xfe\xff")
"""Byte order marks of UTF-16 and UTF-32."""


async def read_body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """Return the inflated body without a byte order mark. Raises Refusal (415, 413, 400) and ClientDisconnect.

    Bytes are counted as they arrive and as they inflate, so memory is bounded whatever the headers say.
    """
    encoding = check_headers(headers)
    body = await _receive_all(receive)
    return text_of(inflate(body, MAX_BODY_BYTES) if encoding == "gzip" else body)


def text_of(body: bytes) -> bytes:
    """Return a body without a UTF-8 byte order mark. Raises Refusal (400) for an empty body and for other marks."""
    if body.startswith(_OTHER_MARKS):
        raise _unreadable("The body begins with a byte order mark of UTF-16 or UTF-32: send UTF-8.")
    if not body:
        raise _unreadable("The body is empty.")
    return body.removeprefix(_BYTE_ORDER_MARK)


async def _receive_all(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise _too_large("on the wire")
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


def check_headers(headers: Mapping[str, str]) -> str:
    """Return the content encoding. Raises Refusal (415, 413) for headers of a body that is not accepted."""
    content_type = headers.get("content-type", "")
    if content_type != _JSON and not _is_json(content_type):
        raise _unsupported("Send Content-Type: application/json, in UTF-8.")
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise _unsupported("Content-Encoding may be gzip or identity.")
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        raise _too_large("on the wire")
    return encoding


def inflate(body: bytes, limit: int) -> bytes:
    """Return the content of one or more gzip members. Raises Refusal (413 beyond `limit` bytes, else 400)."""
    parts: list[bytes] = []
    size = 0
    for _ in range(_MAX_MEMBERS):
        if not body:
            return b"".join(parts)
        member = zlib.decompressobj(_GZIP)
        try:
            part = member.decompress(body, limit - size + 1)
        except zlib.error:
            raise _unreadable("The body is not gzip; correct Content-Encoding or compress it.") from None
        size += len(part)
        if size > limit:
            raise _too_large("inflated")
        if not member.eof:
            raise _unreadable("The gzip body is truncated.")
        parts.append(part)
        body = member.unused_data
    raise _unreadable(f"The gzip body has more than {_MAX_MEMBERS} members.")


def _is_json(content_type: str) -> bool:
    media_type, *parameters = content_type.split(";")
    return media_type.strip().lower() == _JSON and all(map(_is_utf_8_if_charset, parameters))


def _is_utf_8_if_charset(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    if name.strip().lower() != "charset":
        return True
    value = value.strip()
    # some clients use single quotes
    if value[:1] in ('"', "'") and value[:1] == value[-1:]:
        value = value[1:-1]
    return value.strip().lower() in _UTF_8


def _unsupported(detail: str) -> Refusal:
    headers = {"accept-encoding": "gzip, identity"}
    return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail, headers=headers)


def _unreadable(detail: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "unreadable_body", detail)


def _too_large(where: str) -> Refusal:
    detail = f"A body may have {MAX_BODY_BYTES} bytes {where}; send smaller batches."
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", detail)

"""Limits of a request, and the problem documents for requests that never reach an application.

The connection is closed after such an answer.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from schemas.problems import PROBLEM_MEDIA_TYPE
from web.problems import Refusal, problem_body

MAX_HEAD_BYTES: Final = 32 * 1024
"""Maximum size of the request line and the headers, to the accuracy of one read. Trailers have the same limit. The
framing of a body may have as much in addition to the size of the body."""

MAX_TARGET_BYTES: Final = 16 * 1024
"""Maximum size of the path and the query string."""

HEAD_SECONDS: Final = 30.0
"""Maximum time from the connection, or from the first byte of a head, to the end of the head."""

BODY_SECONDS: Final = 30.0
"""Maximum time from the end of a head to the end of its body."""

MALFORMED: Final = Refusal(
    HTTPStatus.BAD_REQUEST, "malformed_request", "This is not HTTP/1.1 or HTTP/1.0 as RFC 9112 defines it."
)
INVALID_HOST: Final = Refusal(
    HTTPStatus.BAD_REQUEST,
    "invalid_host",
    "Send one Host header with a name or an address, and an optional port; HTTP/1.0 needs none.",
)
REPEATED_HEADER: Final = Refusal(
    HTTPStatus.BAD_REQUEST,
    "repeated_header",
    "A header that has one value was sent twice, such as Authorization, X-API-Key or Content-Type.",
)
URI_TOO_LONG: Final = Refusal(
    HTTPStatus.REQUEST_URI_TOO_LONG,
    "uri_too_long",
    f"The path and the query string may have {MAX_TARGET_BYTES} bytes together.",
)
HEADERS_TOO_LARGE: Final = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "headers_too_large",
    f"The request line and the headers may have {MAX_HEAD_BYTES} bytes together, and so may trailers.",
)
TOO_SLOW: Final = Refusal(
    HTTPStatus.REQUEST_TIMEOUT,
    "request_timeout",
    f"Send the headers within {HEAD_SECONDS:.0f} seconds, then the body within {BODY_SECONDS:.0f}.",
)
TOO_MANY_PIPELINED: Final = Refusal(
    HTTPStatus.TOO_MANY_REQUESTS, "too_many_pipelined", "Too many pipelined requests on one connection."
)
NO_TUNNEL: Final = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "This is not a proxy.")
REFUSALS: Final = (MALFORMED, INVALID_HOST, REPEATED_HEADER, NO_TUNNEL, TOO_SLOW, URI_TOO_LONG, HEADERS_TOO_LARGE)

_HEADERS: Final = (
    f"content-type: {PROBLEM_MEDIA_TYPE}\r\n"
    "x-content-type-options: nosniff\r\n"
    "referrer-policy: no-referrer\r\n"
    "cache-control: no-store\r\n"
    "content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
    "connection: close\r\n"
)


def render_refusal(refusal: Refusal, request_id: str) -> bytes:
    """Return the complete response: status line, headers and body."""
    body = problem_body(refusal, request_id)
    own = "".join(f"{name}: {value}\r\n" for name, value in refusal.headers.items())
    head = (
        f"HTTP/1.1 {refusal.status.value} {refusal.status.phrase}\r\n{_HEADERS}{own}"
        f"x-request-id: {request_id}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body

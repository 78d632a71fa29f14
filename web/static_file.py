"""Files that are held in memory once and sent to clients without copies."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from web.routing import READ, Route

PIECE_BYTES: Final = 64 * 1024
"""Size of one write. The next write waits while the send buffer is full."""


class StaticFile(Response):
    """A response that sends slices of its content. A slow client holds references, not copies."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and the content. Waits while the send buffer is full."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        content = memoryview(self.body)
        for start in range(0, len(content), PIECE_BYTES):
            await send({"type": "http.response.body", "body": content[start : start + PIECE_BYTES], "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def static_route(path: str, content: bytes, headers: dict[str, str], *, is_counted: bool = True) -> Route:
    """Return the route of a file. `headers` include its media type."""

    async def answer(_request: Request) -> Response:
        return StaticFile(content, headers=headers)

    return Route(path, READ, answer, is_counted=is_counted)

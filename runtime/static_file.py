"""Files held in memory once and sent to any number of clients without a copy for each."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PIECE_BYTES: Final = 64 * 1024
"""Size of one write. The next one waits until the client has taken enough of the previous ones."""


class StaticFile(Response):
    """A response that sends slices of its content; a client that reads nothing holds references, not copies."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send head and content. Waits while the client's connection is full."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        content = memoryview(self.body)
        for start in range(0, len(content), PIECE_BYTES):
            await send({"type": "http.response.body", "body": content[start : start + PIECE_BYTES], "more_body": True})
        await send({"type": "http.response.body", "body": b""})

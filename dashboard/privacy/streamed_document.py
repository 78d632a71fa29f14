"""A JSON document that is sent while it is read. Only the unsent part of one piece is in memory."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Final

from starlette.responses import StreamingResponse
from starlette.types import Send

from runtime.errors import DependencyUnavailable
from telemetry import logging

_log: Final = logging.get("dashboard")


class StreamedDocument(StreamingResponse):
    """An answer in pieces. The next piece is read after the connection has accepted the previous one.

    When a piece cannot be read, the connection is closed before the end of the answer, so that clients notice.
    """

    media_type = "application/json"

    def __init__(self, pieces: AsyncGenerator[bytes, None]) -> None:
        super().__init__(pieces)
        self._pieces = pieces

    async def stream_response(self, send: Send) -> None:
        """Send the pieces. Return without the end of the body when a piece cannot be read."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with contextlib.aclosing(self._pieces) as pieces:
            try:
                async for piece in pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except DependencyUnavailable as error:
                _log.warning("answer_broken_off", dependency=error.dependency, reason=error.reason, detail=error.detail)
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

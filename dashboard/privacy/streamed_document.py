"""A JSON document that is sent while it is read: never more of it is in memory than the reader has yet to take."""

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
    """An answer in pieces. The next one is read once the connection has taken the one before.

    When a piece cannot be read the connection ends without the end of the answer: a part never looks like the whole.
    """

    media_type = "application/json"

    def __init__(self, pieces: AsyncGenerator[bytes, None]) -> None:
        super().__init__(pieces)
        self._pieces = pieces

    async def stream_response(self, send: Send) -> None:
        """Send it; return without its end when it has none."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with contextlib.aclosing(self._pieces) as pieces:
            try:
                async for piece in pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except DependencyUnavailable as error:
                _log.warning("answer_broken_off", dependency=error.dependency, reason=error.reason, detail=error.detail)
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

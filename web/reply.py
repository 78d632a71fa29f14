"""A complete answer in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from starlette.types import Receive, Scope, Send

_JSON: Final = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer whose body is JSON, unless a header states another type."""

    status: HTTPStatus
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer, to a request or to a WebSocket handshake."""
        prefix = "websocket." if scope["type"] == "websocket" else ""
        headers = [(b"content-length", b"%d" % len(self.body)), *self._encoded_headers()]
        await send({"type": f"{prefix}http.response.start", "status": int(self.status), "headers": headers})
        await send({"type": f"{prefix}http.response.body", "body": self.body})

    def _encoded_headers(self) -> Iterable[tuple[bytes, bytes]]:
        if not self.headers:
            return (_JSON,)
        encoded = {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in self.headers.items()}
        return ({_JSON[0]: _JSON[1]} | encoded).items()

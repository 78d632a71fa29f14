"""Makes one request to ingest and interprets the answer."""

from __future__ import annotations

import gzip
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .answers import Answer, BatchVerdicts, Busy, read_answer
from .books import Books
from .event_form import utc_now
from .retry import retry_after_seconds
from .transport import Transport, TransportFailed
from .version import USER_AGENT

DROPPED_HEADER: Final = "X-Analytics-Dropped"
"""Number of events that this sender lost since its last report."""

COMPRESSED_FROM: Final = 1024
_OPENING: Final = b'{"events":['
_CLOSING: Final = b"]}"
ENVELOPE_BYTES: Final = len(_OPENING) + len(_CLOSING)


@dataclass(frozen=True)
class BatchPoster:
    """Posts batches. The sender decides how to react to an answer."""

    transport: Transport
    books: Books

    def post(self, bodies: Sequence[bytes]) -> tuple[Answer, float]:
        """Post events; return the answer, and the Retry-After in seconds."""
        dropped = self.books.unreported
        headers = {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "X-Request-Id": secrets.token_hex(8),
        }
        if dropped:
            headers[DROPPED_HEADER] = str(dropped)
        content = _OPENING + b",".join(bodies) + _CLOSING
        if len(content) > COMPRESSED_FROM:
            content = gzip.compress(content, 5, mtime=0)
            headers["Content-Encoding"] = "gzip"
        try:
            reply = self.transport.post(content, headers)
        except TransportFailed as failure:
            return Busy(str(failure)), 0.0
        answer = read_answer(reply.status, reply.body, len(bodies))
        if isinstance(answer, BatchVerdicts):
            self.books.reported(dropped)
        return answer, retry_after_seconds(reply.retry_after, utc_now())

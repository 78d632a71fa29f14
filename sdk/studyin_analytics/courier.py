"""One request to ingest: how it is written, and what the answer means."""

from __future__ import annotations

import gzip
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .answers import Answer, Busy, Judged, read_answer
from .books import Books
from .event_form import utc_now
from .retry import retry_after_seconds
from .transport import Transport, TransportFailed
from .version import USER_AGENT

DROPPED_HEADER: Final = "X-Analytics-Dropped"
"""How many events this sender had to drop since it last said so."""

COMPRESSED_FROM: Final = 1024
_OPENING: Final = b'{"events":['
_CLOSING: Final = b"]}"
ENVELOPE_BYTES: Final = len(_OPENING) + len(_CLOSING)


@dataclass(frozen=True)
class Courier:
    """Carries batches; what to do with an answer is decided elsewhere."""

    transport: Transport
    books: Books

    def carry(self, bodies: Sequence[bytes]) -> tuple[Answer, float]:
        """Send events and return what ingest says, and how many seconds it asks to be left alone."""
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
        if isinstance(answer, Judged):
            self.books.reported(dropped)
        return answer, retry_after_seconds(reply.retry_after, utc_now())

"""Cursors of event searches: where the next page begins. Pure.

A cursor holds the window of the first page, so that pages stay stable while events arrive. A digest of the search
detects damaged cursors and cursors of other searches. A cursor holds no secret and grants nothing: every page needs
credentials.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from storage.answers.event_search import EventPosition, EventSearch

_FORM: Final = struct.Struct(">qqq16s8s")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_VERSION: Final = b"events/1"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The window of a search, and the position of the last event of a page."""

    since: datetime
    until: datetime
    after: EventPosition
    digest: bytes

    def belongs_to(self, search: EventSearch) -> bool:
        """Whether the cursor is undamaged and of this search."""
        return cursor_of(search, self.after) == self

    def __str__(self) -> str:
        """Return the text of the cursor."""
        moments = map(_microseconds, (self.since, self.until, self.after.occurred_at))
        packed = _FORM.pack(*moments, self.after.event_id.bytes, self.digest)
        return base64.urlsafe_b64encode(packed).decode()


def cursor_of(search: EventSearch, after: EventPosition) -> Cursor:
    """Return the cursor after an event of the search."""
    conditions = (
        *(str(_microseconds(moment)) for moment in (search.since, search.until, after.occurred_at)),
        after.event_id.hex,
        ",".join(sorted(search.types or ())),
        # the newest pseudonym; the others belong to former keys
        search.user_hashes[0].hex() if search.user_hashes else "",
        search.session_id.hex if search.session_id else "",
    )
    digest = hashlib.sha256(_VERSION + "|".join(conditions).encode()).digest()[:8]
    return Cursor(search.since, search.until, after, digest)


def parse_cursor(text: str) -> Cursor:
    """Return the cursor of a text. Raises ValueError."""
    try:
        packed = base64.b64decode(text.encode(), altchars=b"-_", validate=True)
        *moments, event_id, digest = _FORM.unpack(packed)
        since, until, occurred_at = (_EPOCH + microseconds * _MICROSECOND for microseconds in moments)
    except (ValueError, struct.error, OverflowError):
        raise ValueError("not a cursor") from None
    return Cursor(since, until, EventPosition(occurred_at, UUID(bytes=event_id)), digest)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND

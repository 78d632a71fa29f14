"""Events as a reader of the documents understands them. Shares no code with the product."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

OF_THE_PLATFORM = ("api_request", "api_error")
"""Types that are not about learning, even when they name a learner."""

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Sent:
    """An event as it was sent, the id in the answer, and the pseudonym key at the time."""

    event: Mapping[str, Any]
    event_id: UUID
    key: int = 0


@dataclass(frozen=True)
class Known:
    """An event as the documents define it."""

    event_id: UUID
    type: str
    learner: str | None
    key: int
    session: str | None
    moment: int
    """Microseconds since 1970."""
    date: date
    """The date in the offset of its timestamp."""
    properties: Mapping[str, Any]

    @property
    def is_of_a_learner(self) -> bool:
        return self.learner is not None and self.type not in OF_THE_PLATFORM

    @property
    def order(self) -> tuple[int, UUID]:
        """By time, then by id."""
        return self.moment, self.event_id

    def integer(self, name: str) -> int:
        """Return a whole number; 0 if it is missing. 50.0 is a whole number."""
        return int(self.properties.get(name) or 0)


def understood(sent: Iterable[Sent]) -> list[Known]:
    """Return each event once: the first of several with one id."""
    first: dict[UUID, Sent] = {}
    for each in sent:
        first.setdefault(each.event_id, each)
    return [_understand(each) for each in first.values()]


def same_text(text: str) -> str:
    """Return the form in which ids are compared."""
    return unicodedata.normalize("NFC", text)


def learner_of(user_id: Any) -> str | None:
    """Return the learner: a number is its decimal text."""
    return None if user_id is None else same_text(str(user_id))


def microseconds(seconds: float) -> int:
    """Return a duration exactly. It has at most six decimals."""
    return round(seconds * 1_000_000)


def moment_of(instant: datetime) -> int:
    """Return microseconds since 1970."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def _understand(sent: Sent) -> Known:
    event = sent.event
    if event.get("timestamp") is not None:
        local = datetime.fromisoformat(event["timestamp"])
        moment, day = moment_of(local.astimezone(UTC)), local.date()
    else:
        milliseconds = sent.event_id.int >> 80
        moment, day = milliseconds * 1000, (EPOCH + timedelta(milliseconds=milliseconds)).date()
    return Known(
        event_id=sent.event_id,
        type=event["event_type"],
        learner=learner_of(event.get("user_id")),
        key=sent.key,
        session=_session_of(event, sent.event_id),
        moment=moment,
        date=day,
        properties=event["properties"],
    )


def _session_of(event: Mapping[str, Any], event_id: UUID) -> str | None:
    session = event.get("session_id")
    if session is None:
        return str(event_id) if event["event_type"] == "session_start" else None
    return str(UUID(session)) if _UUID.fullmatch(session) else "text " + same_text(session)

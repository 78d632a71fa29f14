"""Formats events for people: time, type, learner, source, properties."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from cli.output import Line, coloured, joined
from schemas.answers.events import StoredEvent
from schemas.catalogue import EventType

_SHOWN_OF_A_PSEUDONYM: Final = 12
_LONGEST_TYPE: Final = max(map(len, EventType))
# only colours, because NO_COLOR removes colours but no other style
_COLOURS: Final[Mapping[str, str]] = {
    "session": "green",
    "material": "cyan",
    "xp": "yellow",
    "level": "yellow",
    "achievement": "yellow",
    "streak": "yellow",
    "ai": "magenta",
    "search": "blue",
}
_ERROR_COLOUR: Final = "red"


def format_type(event_type: str) -> Line:
    """Return the type in the colour of its family."""
    colour = _ERROR_COLOUR if event_type == EventType.API_ERROR else _COLOURS.get(event_type.partition("_")[0], "")
    return coloured(event_type, colour)


def format_learner(event: StoredEvent) -> str:
    """Return the start of the pseudonym, long enough to distinguish learners; empty without a learner."""
    return (event.user_hash or "")[:_SHOWN_OF_A_PSEUDONYM]


def format_properties(event: StoredEvent) -> str:
    """Return the properties as `name=value` pairs, with JSON values."""
    return " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in event.properties.items())


def format_event(event: StoredEvent) -> Line:
    """Return the event as one line."""
    gap = " " * (_LONGEST_TYPE - len(event.event_type))
    learner = f"{format_learner(event):{_SHOWN_OF_A_PSEUDONYM}}"
    facts = f"{gap}  {learner}  {event.source}  {format_properties(event)}".rstrip()
    return joined(f"{event.occurred_at:%H:%M:%S}  ", format_type(event.event_type), facts)

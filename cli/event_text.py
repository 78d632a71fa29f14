"""Events as a person reads them: when, what, who, and what else was sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from cli.output import Line, coloured, joined
from schemas.answers import StoredEvent
from schemas.catalogue import EventType

_SHOWN_OF_A_PSEUDONYM: Final = 12
_LONGEST_TYPE: Final = max(map(len, EventType))
# colours alone: they are what NO_COLOR takes away
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


def type_text(event_type: str) -> Line:
    """Return the type in the colour of its kind."""
    colour = _ERROR_COLOUR if event_type == EventType.API_ERROR else _COLOURS.get(event_type.partition("_")[0], "")
    return coloured(event_type, colour)


def learner_text(event: StoredEvent) -> str:
    """Return as much of the pseudonym as tells learners apart."""
    return (event.user_hash or "")[:_SHOWN_OF_A_PSEUDONYM]


def properties_text(event: StoredEvent) -> str:
    """Return the properties as `name=value`, texts in quotes."""
    return " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in event.properties.items())


def line_of(event: StoredEvent) -> Line:
    """Return the event as one line."""
    gap = " " * (_LONGEST_TYPE - len(event.event_type))
    learner = f"{learner_text(event):{_SHOWN_OF_A_PSEUDONYM}}"
    facts = f"{gap}  {learner}  {event.source}  {properties_text(event)}".rstrip()
    return joined(f"{event.occurred_at:%H:%M:%S}  ", type_text(event.event_type), facts)

"""Maps Segment events to event types: by the operator's mapping file, else by the name of the type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from runtime.errors import ConfigurationError
from schemas.catalogue import CATALOGUE, EventType

SESSION_ID: Final = "session_id"
"""A property in Segment's messages, an envelope field of our events."""

_SETTING: Final = "ANALYTICS_SEGMENT_MAPPING"
_SEPARATORS: Final = str.maketrans("", "", " _-")


class Rule(BaseModel):
    """The event type and the property names for Segment events of one name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event_type: EventType
    properties: dict[str, str] = {}
    """Our property names by those of the sender. A name that is not listed stays as it is."""
    ignore: frozenset[str] = frozenset()
    """Property names of the sender that are dropped."""

    @model_validator(mode="after")
    def _names_what_there_is(self) -> Self:
        known = {*properties_of(self.event_type), SESSION_ID}
        unknown = sorted(set(self.properties.values()) - known)
        if unknown:
            raise ValueError(
                f"{self.event_type} has no {', '.join(unknown)}; its properties are {', '.join(sorted(known))}"
            )
        both = sorted(self.ignore & self.properties.keys())
        if both:
            raise ValueError(f"{', '.join(both)} cannot be both mapped and ignored")
        return self


_RULES: Final = TypeAdapter(dict[str, Rule])


def properties_of(event_type: EventType) -> list[str]:
    """Return the names of the properties that events of a type may have."""
    return list(CATALOGUE[event_type].properties.model_fields)


class EventMapping:
    """The rules of a mapping file. They take precedence over the names of event types."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        """`rules` has the exact names of events as keys."""
        self._rules = rules

    def rule_for(self, name: str) -> Rule | None:
        """Return the rule for events of this name; None if there is none.

        Without a rule in the file, `Session Start`, `session-start` and `sessionStart` are `session_start`: only case,
        spaces, hyphens and underscores may differ.
        """
        return self._rules.get(name) or _BY_FOLDED_NAME.get(_folded(name))


def read_mapping(path: str | None) -> EventMapping:
    """Return the mapping in a file. Without a file only the names of types count. Raises ConfigurationError."""
    if path is None:
        return EventMapping({})
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{_SETTING}: {path} cannot be read: {error}") from None
    return parse_mapping(text, path)


def parse_mapping(text: str, path: str) -> EventMapping:
    """Return the mapping in a text. Pure. Raises ConfigurationError that lists each fault."""
    try:
        return EventMapping(_RULES.validate_python(json.loads(text, object_pairs_hook=_without_twins)))
    except ValidationError as error:
        faults = [f"{': '.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise ConfigurationError(f"{_SETTING}: in {path}, mend {'; '.join(faults)}") from None
    except ValueError as error:
        raise ConfigurationError(f"{_SETTING}: {path} is not a JSON object of rules: {error}") from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # a parser keeps the last of two equal names: the first rule would be lost
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("an object has the same name twice")
    return members


def _folded(name: str) -> str:
    return name.translate(_SEPARATORS).lower()


_BY_FOLDED_NAME: Final = {_folded(one): Rule(event_type=one) for one in EventType}

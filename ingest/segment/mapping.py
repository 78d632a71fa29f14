"""Which type of event a Segment event is: by its name, or by the operator's mapping file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from runtime.errors import ConfigurationError
from schemas.catalogue import CATALOGUE, EventType

SESSION_ID: Final = "session_id"
"""A property for Segment's senders, a field of the envelope for us."""

_SETTING: Final = "ANALYTICS_SEGMENT_MAPPING"
_SEPARATORS: Final = str.maketrans("", "", " _-")


class Rule(BaseModel):
    """What events of one name stand for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event_type: EventType
    properties: dict[str, str] = {}
    """Names of ours by those of the sender; a name that is not listed stays as it is."""
    ignore: frozenset[str] = frozenset()
    """Names of the sender that are left out."""

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
    """The rules of a mapping file before the names of the types themselves."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        """Take rules by the exact name of the event."""
        self._rules = rules

    def rule_for(self, name: str) -> Rule | None:
        """Return what events of this name are; None when nobody said.

        `Session Start`, `session-start` and `sessionStart` are `session_start`: only case, spaces, hyphens and
        underscores may differ. Nothing is guessed beyond that.
        """
        return self._rules.get(name) or _BY_FOLDED_NAME.get(_folded(name))


def read_mapping(path: str | None) -> EventMapping:
    """Return the mapping of a file; without one only the names of the types count. Raises ConfigurationError."""
    if path is None:
        return EventMapping({})
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{_SETTING}: {path} cannot be read: {error}") from None
    return parse_mapping(text, path)


def parse_mapping(text: str, path: str) -> EventMapping:
    """Return the mapping that a text describes. Pure. Raises ConfigurationError that names each fault."""
    try:
        return EventMapping(_RULES.validate_python(json.loads(text, object_pairs_hook=_without_twins)))
    except ValidationError as error:
        faults = [f"{': '.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise ConfigurationError(f"{_SETTING}: in {path}, mend {'; '.join(faults)}") from None
    except ValueError as error:
        raise ConfigurationError(f"{_SETTING}: {path} is not a JSON object of rules: {error}") from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # of a name that is there twice a parser keeps the last: the first rule would be lost
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name is there twice in one object")
    return members


def _folded(name: str) -> str:
    return name.translate(_SEPARATORS).lower()


_BY_FOLDED_NAME: Final = {_folded(one): Rule(event_type=one) for one in EventType}

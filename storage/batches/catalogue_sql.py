"""SQL fragments that are derived from the catalogue of events."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Final

from schemas.catalogue import CATALOGUE, COUNTERS, LEARNER_EVENTS, PLATFORM_EVENTS


def type_condition(event_types: Set[str]) -> str:
    """Return the SQL condition that an event has one of these types.

    A type that is not in the catalogue counts as a learner event. A release that recomputes what a newer release
    stored therefore gets the same sums.
    """
    if event_types == CATALOGUE.keys():
        return "true"
    if event_types == LEARNER_EVENTS:
        return f"event_type NOT IN ({_listed(PLATFORM_EVENTS)})"
    return f"event_type IN ({_listed(event_types)})"


def _listed(event_types: Iterable[str]) -> str:
    return ", ".join(f"'{event_type}'" for event_type in sorted(event_types))


def _lines(columns: Iterable[str]) -> str:
    return ",\n       ".join(columns)


_XP_OF_AN_EVENT: Final = "\n".join(
    f"WHEN '{kind.name}' THEN (properties ->> '{kind.xp}')::integer" for kind in CATALOGUE.values() if kind.xp
)

XP: Final = f"coalesce(sum(CASE event_type {_XP_OF_AN_EVENT} END), 0)::bigint"
"""The sum of XP over a group of events."""

COUNTS: Final = _lines(
    f"count(*) FILTER (WHERE {type_condition(event_types)}) AS {counter}" for counter, event_types in COUNTERS.items()
)
"""Every counter over a group of events, each in the column of its name."""

COUNTER_SUMS: Final = _lines(f"sum({counter})::bigint AS {counter}" for counter in COUNTERS)
"""The sum of every counter over a group of days, each in the column of its name."""

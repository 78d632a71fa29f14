"""The row of the catalogue: everything that depends on the event type."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .property_types import Properties


class Subject(Enum):
    """Who or what an event is about."""

    LEARNER = "learner"
    """Activity of a learner. It has a learner and counts in their days and sessions."""

    PLATFORM = "platform"
    """Health of the platform. It may have a learner and is not an activity of the learner."""


@dataclass(frozen=True)
class EventKind:
    """One event type."""

    name: str
    """Name as it is sent, stored and published, in snake_case."""

    subject: Subject
    properties: type[Properties]

    xp: str | None = None
    """Property whose value, a whole number, is added to the learner's XP."""

    counter: str | None = None
    """Column of `daily_activity_summary` that counts these events. Several event types may share one."""

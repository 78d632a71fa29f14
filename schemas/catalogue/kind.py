"""The row of the catalogue: everything that distinguishes one type of event from another."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .property_types import Properties


class Subject(Enum):
    """Whose event it is."""

    LEARNER = "learner"
    """Activity of a learner: it names one, and counts in their days and sessions."""

    PLATFORM = "platform"
    """Health of the platform: it may name a learner, and is no activity of theirs."""


@dataclass(frozen=True)
class EventKind:
    """One type of event."""

    name: str
    """As it is sent, stored and published, in snake_case."""

    subject: Subject
    properties: type[Properties]

    xp: str | None = None
    """Property whose whole number is added to the learner's XP."""

    counter: str | None = None
    """Column of `daily_activity_summary` that counts these events. Several types may share one."""

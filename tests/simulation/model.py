"""The correct contents of the tables, computed with loops from the sent events. Shares no code with the product."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from schemas.accepted import AcceptedEvent

Learner = bytes


@dataclass
class Expected:
    """Numbers that follow from a set of stored events."""

    total_xp: dict[Learner, int] = field(default_factory=lambda: defaultdict(int))
    days: dict[tuple[Learner, date], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0, 0]))
    """Activity, materials viewed, materials completed, XP."""
    sessions: dict[tuple[Learner, UUID], tuple[int, datetime, datetime]] = field(default_factory=dict)
    """Events, first, last."""
    achievements: dict[tuple[Learner, str], datetime] = field(default_factory=dict)
    materials: dict[tuple[Learner, str], list[date | None]] = field(
        default_factory=lambda: defaultdict(lambda: [None] * 2)
    )
    """Latest local day of a view, of a completion."""

    @classmethod
    def of(cls, events: Iterable[AcceptedEvent]) -> Expected:
        expected = cls()
        for event in events:
            if event.user_hash is not None and event.event_type not in ("api_request", "api_error"):
                expected._add(event, event.user_hash, json.loads(event.properties))
        return expected

    def _add(self, event: AcceptedEvent, learner: Learner, properties: dict[str, Any]) -> None:
        xp = properties.get("xp_amount", 0) if event.event_type == "xp_earned" else 0
        if event.event_type == "achievement_earned":
            xp = properties.get("xp_reward", 0)
            key = (learner, properties["achievement_id"])
            self.achievements[key] = min(event.occurred_at, self.achievements.get(key, event.occurred_at))
        self.total_xp[learner] += xp
        day = self.days[learner, event.activity_date]
        day[0] += 1
        day[1] += event.event_type == "material_view"
        day[2] += event.event_type == "material_complete"
        day[3] += xp
        for place, event_type in enumerate(("material_view", "material_complete")):
            if event.event_type == event_type:
                latest = self.materials[learner, properties["material_id"]]
                latest[place] = max(event.activity_date, latest[place] or event.activity_date)
        session = event.session_id or (event.event_id if event.event_type == "session_start" else None)
        if session is not None:
            moment = event.occurred_at
            number, first, last = self.sessions.get((learner, session), (0, moment, moment))
            self.sessions[learner, session] = (number + 1, min(first, moment), max(last, moment))


@dataclass
class Ledger:
    """The sent events, and what must become of them."""

    versions: dict[UUID, list[AcceptedEvent]] = field(default_factory=lambda: defaultdict(list))
    """Every form in which an event was sent: a retry may have another time."""
    poison: int = 0
    erased: set[Learner] = field(default_factory=set)

    def sent(self, events: Iterable[AcceptedEvent]) -> None:
        for event in events:
            properties = json.dumps(json.loads(event.properties), sort_keys=True)
            self.versions[event.event_id].append(event._replace(properties=properties))

    def check_stored(self, stored: dict[UUID, AcceptedEvent]) -> None:
        """Check that each event is stored in a form in which it was sent; only those of erased learners are missing."""
        for event_id, event in stored.items():
            assert event in self.versions[event_id], "stored in a form that was never sent"
        for event_id, versions in self.versions.items():
            if versions[0].user_hash in self.erased:
                assert event_id not in stored, "an erased learner came back"
            else:
                assert event_id in stored, "accepted and gone"

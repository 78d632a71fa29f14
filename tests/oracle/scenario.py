"""Histories of synthetic learners and services, drawn from a seed. Every edge case of the documents is likely."""

from __future__ import annotations

import random
import string
import unicodedata
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from tests.oracle.history import same_text

Event = dict[str, Any]

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
OFFSETS = (-12.0, -9.5, -3.5, 0.0, 1.0, 5.5, 5.75, 9.0, 12.75, 13.0, 14.0)
GAPS = (0.0, 0.000_001, 0.25, 1.5, 40.0, 300.123_456, 1_500.0, 1_799.999_999, 1_800.0, 1_800.000_001, 2_700.0, 36_000.0)
"""Seconds between two events of a session. A session ends after half an hour of silence."""
DURATIONS = (None, 0, 0.5, 12, 61.000_001, 1_234.567_891, 7_200.0, 86_399.999_999, 86_400, 86_400.5, 90_000, 2_592_000)
MATERIALS = ("limits-1", "limits-2", "série-é", "序章", "ångström", "x" * 200, "x" * 199 + "y", "graphs-0")
ACHIEVEMENTS = ("first-steps", "étoile", "night-owl", "jalapeño", "week-one")
NAMES = (None, "Étoile", "First steps", "夜")
ENDPOINTS = ("/courses/{id}", "/health", "/courses/{id}/units/{unit}", "/search", "/login")
ERRORS = ("timeout", "connection_reset", "database", "validation")
LATENCIES = (0, 0.000_1, 0.001, 1, 1.02, 17.5, 250.0, 30_000, 86_400_000)


def names(seed: int, count: int) -> list[str]:
    """Return the ids of `count` learners, each in one of its spellings."""
    forms = ("zoë-{seed}-{number}", "{seed}00{number}", "learner-{seed}-{number}")
    return [forms[number % len(forms)].format(seed=seed, number=number) for number in range(count)]


def spelled(text: str, rng: random.Random) -> str:
    """Return a text in one of its two normal forms."""
    return unicodedata.normalize(rng.choice(("NFC", "NFD")), text)


class Author:
    """Draws events of these learners from a seed, in the last `days` before `now`."""

    def __init__(self, seed: int, now: datetime, *, days: int, learners: Sequence[str]) -> None:
        self._rng = random.Random(seed)
        self._now = now
        self._days = days
        self._tail = seed << 32
        self._learners = learners

    def events(self, *, of_each: int, requests: int) -> list[Event]:
        """Return `of_each` events of each learner and `requests` of the API, shuffled."""
        events = [event for name in self._learners for event in self._life(name, of_each)]
        events += [self._of_the_platform() for _ in range(requests)]
        self._rng.shuffle(events)
        return events

    def mixed(self, *parts: Sequence[Event]) -> list[Event]:
        """Return the events of all parts, shuffled."""
        events = [event for part in parts for event in part]
        self._rng.shuffle(events)
        return events

    def repeats(self, events: Sequence[Event]) -> list[Event]:
        """Return some of the events unchanged. An event without an id would be a new one."""
        named = [event for event in events if "event_id" in event]
        return self._rng.sample(named, len(named) // 8)

    def unequal_repeats(self, events: Sequence[Event]) -> list[Event]:
        """Return events with the ids of some of these and other content."""
        named = [event for event in events if "event_id" in event]
        return [self._changed(event) for event in self._rng.sample(named, len(named) // 16)]

    def _changed(self, event: Event) -> Event:
        changed = {**event, "properties": self._properties(event["event_type"])}
        if "timestamp" in event and self._rng.random() < 0.5:
            changed["timestamp"] = self._timestamp(self._moment())
        return changed

    def spelled(self, text: str) -> str:
        """Return a text in one of its two normal forms."""
        return spelled(text, self._rng)

    def _life(self, name: str, events: int) -> Iterator[Event]:
        home = self._rng.choice(OFFSETS)
        travels = self._rng.random() < 0.3
        while events > 0:
            offset = self._rng.choice(OFFSETS) if travels else home
            sitting = list(self._session(name, offset)) if self._rng.random() < 0.5 else [self._loose(name, offset)]
            events -= len(sitting)
            yield from sitting
        # tomorrow in the east while it is not yet today in the west
        yield self._event(
            name, "search_query", self._now + self._rng.choice((0, 5)) * MINUTE, self._rng.choice(OFFSETS)
        )

    def _session(self, name: str, offset: float) -> Iterator[Event]:
        identity = self._rng.choice(
            (str(uuid.UUID(int=self._rng.getrandbits(128), version=4)), f"séance {self._word()}", None)
        )
        moment = self._moment() - timedelta(hours=self._rng.randint(0, 20))
        kinds = ["session_start", *self._rng.choices(LEARNER_TYPES, k=self._rng.randint(0, 5))]
        kinds += ["session_end"] * self._rng.choice((0, 1, 1, 2, 3))
        for kind in kinds:
            event = self._event(name, kind, min(moment, self._now + 8 * MINUTE), offset)
            if identity is not None and self._rng.random() < 0.95:
                event["session_id"] = self._session_spelled(identity)
            yield event
            moment += timedelta(seconds=self._rng.choice(GAPS))

    def _session_spelled(self, identity: str) -> str:
        if identity.startswith("s"):
            return self.spelled(identity)
        return self._rng.choice((identity, identity.upper(), identity.replace("-", "")))

    def _loose(self, name: str, offset: float) -> Event:
        kind = self._rng.choice((*LEARNER_TYPES, "session_start", "session_end", "api_request"))
        return self._event(name, kind, self._moment(), offset)

    def _of_the_platform(self) -> Event:
        name = self._rng.choice((None, None, *self._learners))
        kind = self._rng.choices(("api_request", "api_error"), (6, 1))[0]
        moment = self._moment(recent=self._rng.random() < 0.7)
        event = self._event(name, kind, moment, 0.0)
        if name is not None and self._rng.random() < 0.2:
            event["session_id"] = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        return event

    def _moment(self, *, recent: bool = False) -> datetime:
        """Return a past time, often at a border of five minutes or of a day in some time zone."""
        back = timedelta(seconds=self._rng.uniform(0, 26 * 3600 if recent else self._days * 86_400))
        moment = self._now - back
        if self._rng.random() < 0.3:
            border = moment.replace(minute=moment.minute // 5 * 5, second=0, microsecond=0)
            return border + timedelta(microseconds=self._rng.choice((-1, 0, 1)))
        if self._rng.random() < 0.1:
            hour = self._rng.randrange(24)
            return moment.replace(hour=hour, minute=0, second=0, microsecond=0) - DAY
        return moment

    def _event(self, name: str | None, kind: str, moment: datetime, offset: float) -> Event:
        event: Event = {"event_type": kind, "properties": self._properties(kind)}
        if name is not None:
            # a number is the same id as its decimal text
            event["user_id"] = int(name) if name.isdigit() and self._rng.random() < 0.5 else self.spelled(name)
        if (version := self._rng.choice((..., 1, None))) is not ...:
            event["schema_version"] = version
        form = self._rng.random()
        if form < 0.1:
            event["event_id"] = self._uuid7(moment)
            return event
        event["timestamp"] = self._timestamp(moment, offset)
        if form < 0.6:
            event["event_id"] = self._uuid7(moment)
        elif form < 0.95:
            event["event_id"] = f"order-{self._word()}"
        return event

    def _timestamp(self, moment: datetime, offset: float = 0.0) -> str:
        local = moment.astimezone(timezone(timedelta(hours=offset)))
        text = local.isoformat()
        return text.replace("+00:00", "Z") if self._rng.random() < 0.5 else text

    def _uuid7(self, moment: datetime) -> str:
        self._tail += 1
        milliseconds = int(moment.astimezone(UTC).timestamp() * 1000)
        # in any order within a millisecond, and unique
        tail = self._rng.getrandbits(8) << 54 | self._tail & (1 << 54) - 1
        return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | 0x2 << 62 | tail))

    def _word(self) -> str:
        """Return letters that no other id has; digits might look like a personal number."""
        return "".join(self._rng.choices(string.ascii_lowercase, k=16))

    def _properties(self, kind: str) -> dict[str, Any]:
        return PROPERTIES[kind](self)

    def whole(self, low: int, high: int) -> int | float:
        """Return a whole number, sometimes written with a fraction of zero."""
        number = self._rng.randint(low, high)
        return float(number) if self._rng.random() < 0.3 else number

    def one_of(self, *choices: Any) -> Any:
        """Return one of the choices; texts in one of their normal forms."""
        choice = self._rng.choice(choices)
        return self.spelled(choice) if isinstance(choice, str) else choice

    def optional(self, **values: Any) -> dict[str, Any]:
        """Return some of the values. None stays."""
        return {name: value for name, value in values.items() if self._rng.random() < 0.6}

    def latency(self) -> float:
        return float(self._rng.choice(LATENCIES)) if self._rng.random() < 0.2 else self._rng.lognormvariate(3, 1.5)


PROPERTIES: dict[str, Callable[[Author], dict[str, Any]]] = {
    "session_start": lambda author: author.optional(material_id=author.one_of(*MATERIALS), platform="web"),
    "session_end": lambda author: author.optional(
        duration_seconds=author.one_of(*DURATIONS), xp_earned=author.whole(0, 50)
    ),
    "material_view": lambda author: (
        {"material_id": author.one_of(*MATERIALS)}
        | author.optional(duration_seconds=author.one_of(None, 30.5), progress_percentage=author.one_of(0, 50.0, 100))
    ),
    "material_complete": lambda author: (
        {"material_id": author.one_of(*MATERIALS)} | author.optional(score=author.one_of(-25, 0, 99.5, 115, None))
    ),
    "xp_earned": lambda author: (
        {"xp_amount": author.whole(0, 90)} | author.optional(source=author.one_of("quiz", None))
    ),
    "level_up": lambda author: {"new_level": author.whole(1, 12)},
    "achievement_earned": lambda author: (
        {"achievement_id": author.one_of(*ACHIEVEMENTS)}
        | author.optional(achievement_name=author.one_of(*NAMES), xp_reward=author.one_of(None, 0, 25, 40.0))
    ),
    "streak_update": lambda author: {"streak_days": author.whole(0, 40)},
    "ai_message_sent": lambda author: {"message_length": author.whole(0, 500)},
    "ai_message_received": lambda author: {"response_time_ms": author.latency()} | author.optional(tokens=12),
    "ai_feedback_rated": lambda author: {"rating": author.whole(1, 5)},
    "search_query": lambda author: {"query_length": author.whole(0, 40), "results_count": 3},
    "api_request": lambda author: {
        "endpoint": author.one_of(*ENDPOINTS),
        "method": "GET",
        "status_code": author.one_of(200, 204, 404, 499, 500, 503, 599),
        "duration_ms": author.latency(),
    },
    "api_error": lambda author: {"endpoint": author.one_of(*ENDPOINTS), "error_type": author.one_of(*ERRORS)},
}
LEARNER_TYPES = [kind for kind in PROPERTIES if not kind.startswith(("api_", "session_"))]

assert all(same_text(text) == text for text in (*MATERIALS, *ACHIEVEMENTS))

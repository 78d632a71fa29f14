"""The correct answers about a learner: ADR 5 and docs/api.md as loops over the events."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracle.history import Known, microseconds, moment_of, same_text

DAY = timedelta(days=1)
TIMEOUT = 30 * 60 * 1_000_000
"""Session timeout, and the maximum that a gap between two events counts, in microseconds."""
LONGEST = 24 * 3600 * 1_000_000
"""Maximum that a reported duration counts, in microseconds."""
BASE, GROWTH = 100, 100
"""XP for level 2, and the increase of the XP for each further level."""


@dataclass(frozen=True)
class Session:
    """One session of a learner."""

    date: date
    duration: int
    """In microseconds."""
    has_end: bool
    last: int

    @classmethod
    def of(cls, events: Iterable[Known]) -> Session:
        """Return the session that these events make."""
        in_order = sorted(events, key=lambda event: event.order)
        ends = [event for event in in_order if event.type == "session_end"]
        reports = [seconds for event in ends if (seconds := event.properties.get("duration_seconds")) is not None]
        moments = [event.moment for event in in_order]
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
        duration = min(microseconds(reports[-1]), LONGEST) if reports else sum(min(gap, TIMEOUT) for gap in gaps)
        return cls(in_order[0].date, duration, bool(ends), moments[-1])


class Learner:
    """All events of a learner."""

    def __init__(self, events: Sequence[Known]) -> None:
        """Take the events of this learner; platform events are left out."""
        self._events = [event for event in events if event.is_of_a_learner]
        self._dates = {event.date for event in self._events}
        by_session: dict[str, list[Known]] = defaultdict(list)
        for event in self._events:
            if event.session is not None:
                by_session[event.session].append(event)
        self._sessions = [Session.of(events) for events in by_session.values()]
        self._achievements = self._first_earned()

    def overview(self, days: int, zone: str, now: datetime) -> dict[str, Any]:
        """Return every number of an overview, and the window."""
        first, last = self._window(days, zone, now)
        within = [event for event in self._events if first <= event.date <= last]
        sessions = [session for session in self._sessions if first <= session.date <= last]
        return {
            "from": first.isoformat(),
            "to": last.isoformat(),
            "total_sessions": len(sessions),
            "open_sessions": sum(
                not session.has_end and moment_of(now) - session.last < TIMEOUT for session in sessions
            ),
            "total_duration_microseconds": sum(session.duration for session in sessions),
            "materials_viewed": _count(within, "material_view"),
            "materials_completed": _count(within, "material_complete"),
            "distinct_materials_viewed": _distinct(within, "material_view"),
            "distinct_materials_completed": _distinct(within, "material_complete"),
            "xp_earned": sum(map(xp_of, within)),
            "active_days": len({event.date for event in within}),
            "achievements_earned": sum(first <= event.date <= last for event in self._achievements),
            "total_xp": self._total_xp,
            "current_level": self._level,
            "current_streak": self._current_streak(last),
            "longest_streak": max((len(run) for run in self._runs()), default=0),
        }

    def heatmap(self, days: int, zone: str, now: datetime) -> list[tuple[str, int, int, int]]:
        """Return date, events, microseconds in sessions and XP for each day of the window."""
        first, last = self._window(days, zone, now)
        rows = {first + number * DAY: [0, 0, 0] for number in range((last - first).days + 1)}
        for event in self._events:
            if event.date in rows:
                rows[event.date][0] += 1
                rows[event.date][2] += xp_of(event)
        for session in self._sessions:
            if session.date in rows:
                rows[session.date][1] += session.duration
        return [(day.isoformat(), count, duration, xp) for day, (count, duration, xp) in rows.items()]

    def progress(self, days: int, zone: str, now: datetime) -> dict[str, Any]:
        """Return every number of the progress, with achievements as a set."""
        begin, following = _begin(self._level), _begin(self._level + 1)
        reports = [event for event in self._events if event.type == "streak_update"]
        last_report = max(reports, key=lambda event: event.order, default=None)
        return {
            "current_xp": self._total_xp,
            "current_level": self._level,
            "xp_for_current_level": begin,
            "xp_for_next_level": following,
            "progress_percentage": max(0.0, 100 * (self._total_xp - begin) / (following - begin)),
            "reported_streak_days": last_report and last_report.integer("streak_days"),
            "achievements": {
                (same_text(event.properties["achievement_id"]), event.properties.get("achievement_name"), event.moment)
                for event in self._achievements
            },
            "xp_trend": [(day, xp) for day, _, _, xp in self.heatmap(days, zone, now)],
        }

    @property
    def _total_xp(self) -> int:
        return sum(map(xp_of, self._events))

    @property
    def _level(self) -> int:
        reported = [event.integer("new_level") for event in self._events if event.type == "level_up"]
        level = 1
        while _begin(level + 1) <= self._total_xp:
            level += 1
        return max([level, *reported])

    def _window(self, days: int, zone: str, now: datetime) -> tuple[date, date]:
        """Return the last `days` dates up to the later of today in the zone and the learner's last date."""
        last = max([now.astimezone(ZoneInfo(zone)).date(), *self._dates])
        return last - (days - 1) * DAY, last

    def _runs(self) -> list[list[date]]:
        runs: list[list[date]] = []
        for day in sorted(self._dates):
            if runs and runs[-1][-1] == day - DAY:
                runs[-1].append(day)
            else:
                runs.append([day])
        return runs

    def _current_streak(self, reference: date) -> int:
        runs = self._runs()
        return len(runs[-1]) if runs and runs[-1][-1] >= reference - DAY else 0

    def _first_earned(self) -> list[Known]:
        first: dict[str, Known] = {}
        for event in sorted(self._events, key=lambda event: event.order):
            if event.type == "achievement_earned":
                first.setdefault(same_text(event.properties["achievement_id"]), event)
        return list(first.values())


def xp_of(event: Known) -> int:
    """Return the XP of an event."""
    name = {"xp_earned": "xp_amount", "achievement_earned": "xp_reward"}.get(event.type)
    return event.integer(name) if name else 0


def _begin(level: int) -> int:
    """Return the total XP at which a level begins."""
    steps = level - 1
    return steps * BASE + GROWTH * steps * (steps - 1) // 2


def _count(events: Iterable[Known], kind: str) -> int:
    return sum(event.type == kind for event in events)


def _distinct(events: Iterable[Known], kind: str) -> int:
    return len({same_text(event.properties["material_id"]) for event in events if event.type == kind})

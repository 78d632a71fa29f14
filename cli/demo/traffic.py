"""Synthetic traffic as senders would post it: sessions in order, sent over a network that reorders and repeats.

Deterministic: the same arguments give the same events, including ids. One event in twenty is sent again with the same
id, one in thirty arrives hours late. Pure: no clock, no I/O.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from itertools import count as counting
from itertools import islice
from random import Random
from typing import Any
from uuid import UUID

from cli.demo.learners import Learner, Step, make_learners, study_session, visit

Event = dict[str, Any]

_DAY = timedelta(days=1)
_REPEATED = 0.05
_LATE = 0.03
_VISITS = 0.2
_WEEKEND_SHARE = 0.6
_FOREIGN_ID = 0.03
"""Share of events whose sender has its own ids, which are not UUIDs."""

_REMEMBERED = 200
"""Number of live events that may still be sent again."""


def demo_events(
    seed: int,
    users: int,
    count: int,
    now: datetime,
    history_days: float,
    learners: list[Learner] | None = None,
) -> Iterator[Event]:
    """Yield exactly `count` events of the `history_days` before `now` (aware), in the order of their arrival.

    `learners` continue from their current progress and advance; by default all are new.
    """
    history = _History(seed, learners or demo_learners(seed, users))
    return islice(history.events(count, now, history_days), count)


def live_events(
    seed: int, users: int, clock: Callable[[], datetime], learners: list[Learner] | None = None
) -> Iterator[Event]:
    """Yield events without end, each with the time at which it is requested; a few are late or repeated.

    `learners` continue from their current progress; by default all are new.
    """
    return _live(Random(f"live {seed}"), learners or demo_learners(seed, users), clock)


def demo_learners(seed: int, users: int) -> list[Learner]:
    """Return the learners of a seed, without progress."""
    return make_learners(Random(f"learners {seed}"), users)


@dataclass(slots=True)
class _Session:
    """A session or visit in progress."""

    steps: Iterator[Step]
    learner: Learner | None
    session_id: UUID | None
    zone: timezone
    started: datetime


@dataclass(slots=True, order=True)
class _Delivery:
    """An event on its way to the server."""

    due: datetime
    number: int
    event: Event = field(compare=False)


class _History:
    def __init__(self, seed: int, learners: list[Learner]) -> None:
        self._rng = Random(f"history {seed}")
        self._learners = learners
        self._numbers = counting()

    def events(self, count: int, now: datetime, history_days: float) -> Iterator[Event]:
        """Yield `count` events or a few more."""
        now = now.astimezone(UTC)
        on_their_way: list[_Delivery] = []
        made = 0
        for start, end, share in _windows(now, timedelta(days=history_days)):
            present = self._active_learners()
            while made < share * count:
                for delivery in self._session(present, start, end, now):
                    heapq.heappush(on_their_way, delivery)
                    made += 1
            while on_their_way and on_their_way[0].due < end:
                yield heapq.heappop(on_their_way).event
        while on_their_way:
            yield heapq.heappop(on_their_way).event

    def _active_learners(self) -> list[Learner]:
        rng = self._rng
        present = [learner for learner in self._learners if rng.random() < learner.habit]
        return present or [rng.choice(self._learners)]

    def _session(self, present: list[Learner], start: datetime, end: datetime, now: datetime) -> Iterator[_Delivery]:
        rng = self._rng
        learner = None if rng.random() < _VISITS else rng.choice(present)
        begins = start + (end - start) * rng.random() if learner is None else _usual_time(rng, learner, start, end)
        session = _begin(rng, learner, begins)
        moment = begins
        for step in session.steps:
            moment += timedelta(seconds=step.delay)
            if moment > now:
                return
            yield from self._deliveries(_event(rng, session, step, moment, moment), moment)

    def _deliveries(self, event: Event, moment: datetime) -> Iterator[_Delivery]:
        rng = self._rng
        late = rng.random() < _LATE
        due = moment + timedelta(seconds=rng.uniform(300, 6 * 3600) if late else rng.expovariate(1.0))
        yield _Delivery(due, next(self._numbers), event)
        if rng.random() < _REPEATED:
            yield _Delivery(due + timedelta(seconds=rng.uniform(0.5, 120)), next(self._numbers), event)


def _windows(now: datetime, span: timedelta) -> Iterator[tuple[datetime, datetime, float]]:
    """Yield each day of the span, oldest first: its start, its end, and the share of all events sent by its end."""
    ends = [now]
    while now - ends[-1] + _DAY < span:
        ends.append(ends[-1] - _DAY)
    ends.reverse()
    starts = [now - span, *ends[:-1]]
    weights = [
        (end - start) / _DAY * (_WEEKEND_SHARE if start.weekday() >= 5 else 1.0)
        for start, end in zip(starts, ends, strict=True)
    ]
    so_far = 0.0
    for start, end, weight in zip(starts, ends, weights, strict=True):
        so_far += weight
        yield start, end, 1.0 if end == now else so_far / sum(weights)


def _usual_time(rng: Random, learner: Learner, start: datetime, end: datetime) -> datetime:
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    begins = midnight + timedelta(hours=learner.hour_utc + rng.gauss(0, 1.2))
    while begins < start:
        begins += _DAY
    return begins if begins < end else start + (end - start) * rng.random()


def _live(rng: Random, learners: list[Learner], clock: Callable[[], datetime]) -> Iterator[Event]:
    under_way: list[_Session] = []
    sent: deque[Event] = deque(maxlen=_REMEMBERED)
    while True:
        if sent and rng.random() < _REPEATED / (1 + _REPEATED):
            yield rng.choice(sent)
            continue
        now = clock().astimezone(UTC)
        if len(under_way) < max(3, len(learners) // 3):
            learner = None if rng.random() < _VISITS else _idle(rng, learners, under_way)
            under_way.append(_begin(rng, learner, now))
        session = rng.choice(under_way)
        step = next(session.steps, None)
        if step is None:
            under_way.remove(session)
            continue
        late = timedelta(seconds=rng.uniform(60, 3 * 3600)) if rng.random() < _LATE else timedelta()
        event = _event(rng, session, step, now, now - late)
        sent.append(event)
        yield event


def _idle(rng: Random, learners: list[Learner], under_way: list[_Session]) -> Learner | None:
    busy = {session.learner.user_id for session in under_way if session.learner}
    idle = [learner for learner in learners if learner.user_id not in busy]
    return rng.choice(idle) if idle else None


def _begin(rng: Random, learner: Learner | None, moment: datetime) -> _Session:
    if learner is None:
        return _Session(visit(rng), None, None, UTC, moment)
    session_id = _uuid7(rng, moment)
    zone = timezone(timedelta(minutes=learner.offset_minutes))
    learner.count_study_day(moment.astimezone(zone).date())
    return _Session(study_session(learner, rng), learner, session_id, zone, moment)


def _event(rng: Random, session: _Session, step: Step, now: datetime, moment: datetime) -> Event:
    properties = step.properties
    if step.event_type == "session_end":
        duration = (now - session.started).total_seconds()
        properties = {"duration_seconds": round(duration, 1), **properties}
    event: Event = {
        "event_id": _event_id(rng, moment),
        "event_type": step.event_type,
        "timestamp": moment.astimezone(session.zone).isoformat(timespec="milliseconds"),
        "properties": properties,
    }
    if session.learner is not None:
        event["user_id"] = session.learner.user_id
        event["session_id"] = str(session.session_id)
    return event


def _event_id(rng: Random, moment: datetime) -> str:
    own_id = _uuid7(rng, moment)
    return f"mobile/{own_id.hex}" if rng.random() < _FOREIGN_ID else str(own_id)


def _uuid7(rng: Random, moment: datetime) -> UUID:
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | rng.getrandbits(12) << 64 | 0x2 << 62 | rng.getrandbits(62))

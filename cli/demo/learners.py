"""Synthetic learners: their habits, when they study, and the steps of a study session."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Any, Final, NamedTuple


class Step(NamedTuple):
    """A step of a session: an event `delay` seconds after the previous one."""

    delay: float
    event_type: str
    properties: dict[str, Any]


class Endpoint(NamedTuple):
    """A route of the platform and its usual latency."""

    method: str
    route: str
    median_ms: float


DASHBOARD = Endpoint("GET", "/api/dashboard", 45.0)
MATERIAL = Endpoint("GET", "/api/materials/{material_id}", 28.0)
PROGRESS = Endpoint("PUT", "/api/materials/{material_id}/progress", 18.0)
QUIZ = Endpoint("POST", "/api/quizzes/{quiz_id}/answers", 60.0)
SEARCH = Endpoint("GET", "/api/search", 95.0)
COACH = Endpoint("POST", "/api/coach/messages", 850.0)
LOGIN = Endpoint("POST", "/api/auth/login", 120.0)
CATALOGUE = Endpoint("GET", "/api/courses", 22.0)

_SPREAD = 0.55
"""Standard deviation of the logarithm of a latency."""

_STATUSES = ((200, 0.955), (404, 0.018), (422, 0.009), (429, 0.004), (500, 0.008), (503, 0.004), (504, 0.002))
_ERRORS = {500: "internal_error", 503: "upstream_unavailable", 504: "upstream_timeout", 429: "rate_limited"}
_SLOWNESS = {503: 3.0, 504: 40.0, 500: 1.5}

_MATERIAL_TYPES = ("video", "article", "quiz", "exercise", "flashcards")
_PLATFORMS = ("web", "ios", "android")
_OFFSETS = (0, 60, 60, 120, 120, 180, 330, 480, 540, -180, -300, -300, -420, -480)
_COURSES = ("algebra", "biology", "chemistry", "history", "physics", "python", "spanish", "statistics")
_MODELS = ("coach-small", "coach-large")

_MILESTONES = {1: ("first-material", "First step"), 10: ("ten-materials", "Ten down"), 50: ("fifty-materials", "Fifty")}
_STREAKS = {3: ("streak-3", "Three in a row"), 7: ("streak-7", "A whole week"), 30: ("streak-30", "A whole month")}


@dataclass(slots=True)
class Learner:
    """Habits, which are constant, and progress, which grows with every session."""

    user_id: str
    offset_minutes: int
    """Offset of the local clock from UTC."""
    habit: float
    """Probability that a day is a study day."""
    hour_utc: float
    """Usual start of a session."""
    ability: float
    """Mean score, 0 to 1."""
    talkative: float
    """Probability of a question to the coach about a material."""
    course: str
    platform: str
    xp: int = 0
    level: int = 1
    completed: int = 0
    streak: int = 0
    last_day: date | None = None
    achievements: set[str] = field(default_factory=set)

    def count_study_day(self, day: date) -> None:
        """Count a study day. A day before the last one changes nothing."""
        if self.last_day is None or day > self.last_day + timedelta(days=1):
            self.streak = 1
        elif day > self.last_day:
            self.streak += 1
        self.last_day = max(day, self.last_day or day)


DEMO_USER: Final = "demo-user-"
"""The user id of a synthetic learner, followed by a number from 1."""


def make_learners(rng: Random, users: int) -> list[Learner]:
    """Return the learners `demo-user-1` to `demo-user-{users}`, without progress."""
    return [_make_learner(rng, number) for number in range(1, users + 1)]


def _make_learner(rng: Random, number: int) -> Learner:
    offset = rng.choice(_OFFSETS)
    return Learner(
        user_id=f"{DEMO_USER}{number}",
        offset_minutes=offset,
        habit=rng.betavariate(2.2, 1.6),
        hour_utc=(rng.choice((8.0, 13.0, 19.0, 21.0)) + rng.gauss(0.0, 1.0) - offset / 60) % 24,
        ability=rng.betavariate(6, 2),
        talkative=rng.betavariate(1.5, 3),
        course=rng.choice(_COURSES),
        platform=rng.choice(_PLATFORMS),
    )


def study_session(learner: Learner, rng: Random) -> Iterator[Step]:
    """Yield the steps of a session, in order. The learner's progress grows as the steps are consumed.

    One session in eight has no `session_end`. The caller adds the duration to each `session_end`.
    """
    xp_before = learner.xp
    material_id, material_type = _choose_material(learner, rng)
    yield from _request(rng, DASHBOARD, 0.0)
    start = {"material_id": material_id, "material_type": material_type, "platform": learner.platform}
    yield Step(rng.uniform(0.2, 2.0), "session_start", start)
    yield from _streak(learner, rng)
    for number in range(rng.choice((1, 1, 2, 2, 3, 4))):
        if number:
            material_id, material_type = _choose_material(learner, rng)
        yield from _study(learner, rng, material_id, material_type)
    if rng.random() < 0.88:
        yield Step(rng.uniform(1, 30), "session_end", {"xp_earned": learner.xp - xp_before})


def visit(rng: Random) -> Iterator[Step]:
    """Yield the requests of an anonymous visitor."""
    yield from _request(rng, CATALOGUE, 0.0)
    if rng.random() < 0.5:
        yield from _request(rng, LOGIN, rng.uniform(2, 20))


def _choose_material(learner: Learner, rng: Random) -> tuple[str, str]:
    # early chapters are read most
    chapter = 1 + min(int(rng.expovariate(0.12)), 39)
    return f"{learner.course}-{chapter:02d}", _MATERIAL_TYPES[chapter % len(_MATERIAL_TYPES)]


def _study(learner: Learner, rng: Random, material_id: str, material_type: str) -> Iterator[Step]:
    if rng.random() < 0.25:
        yield from _search(rng)
    yield from _request(rng, MATERIAL, rng.uniform(0.5, 5))
    material = {"material_id": material_id, "material_type": material_type}
    progress, spent = 0.0, 0.0
    for _ in range(rng.choice((1, 2, 2, 3))):
        read = round(min(rng.lognormvariate(4.2, 0.7), 1800.0), 1)
        progress = min(progress + rng.uniform(20, 60), 100.0)
        spent += read
        facts = {**material, "duration_seconds": read, "progress_percentage": round(progress, 1)}
        yield Step(read, "material_view", facts)
        yield from _request(rng, PROGRESS, 0.1)
        if rng.random() < learner.talkative:
            yield from _ask_coach(rng)
    if rng.random() < 0.35 + progress / 250:
        yield from _complete(learner, rng, material, spent)


def _complete(learner: Learner, rng: Random, material: dict[str, str], spent: float) -> Iterator[Step]:
    score = round(min(max(rng.gauss(learner.ability, 0.15), 0.0), 1.0) * 100, 1)
    yield from _request(rng, QUIZ, rng.uniform(1, 8))
    yield Step(0.2, "material_complete", {**material, "duration_seconds": round(spent, 1), "score": score})
    learner.completed += 1
    yield from _earn(learner, 10 * (2 + int(score // 20)), material["material_type"])
    if learner.completed in _MILESTONES:
        yield from _achieve(learner, *_MILESTONES[learner.completed], reward=25)
    if score == 100.0:
        yield from _achieve(learner, "perfect-score", "Flawless", reward=50)


def _earn(learner: Learner, amount: int, source: str) -> Iterator[Step]:
    learner.xp += amount
    yield Step(0.1, "xp_earned", {"xp_amount": amount, "source": source})
    yield from _level_up(learner)


def _achieve(learner: Learner, achievement_id: str, name: str, *, reward: int) -> Iterator[Step]:
    if achievement_id in learner.achievements:
        return
    learner.achievements.add(achievement_id)
    learner.xp += reward
    facts = {"achievement_id": achievement_id, "achievement_name": name, "xp_reward": reward}
    yield Step(0.1, "achievement_earned", facts)
    yield from _level_up(learner)


def _level_up(learner: Learner) -> Iterator[Step]:
    # the second level needs 100 XP, each further level 100 more than the one before
    level = (1 + math.isqrt(1 + 8 * (learner.xp // 100))) // 2
    if level > learner.level:
        yield Step(0.1, "level_up", {"new_level": level, "previous_level": learner.level})
        learner.level = level


def _streak(learner: Learner, rng: Random) -> Iterator[Step]:
    yield Step(rng.uniform(0.1, 1.0), "streak_update", {"streak_days": learner.streak})
    if learner.streak in _STREAKS:
        yield from _achieve(learner, *_STREAKS[learner.streak], reward=10 * learner.streak)


def _search(rng: Random) -> Iterator[Step]:
    yield from _request(rng, SEARCH, rng.uniform(2, 15))
    found = 0 if rng.random() < 0.1 else min(int(rng.lognormvariate(2.0, 1.0)), 500)
    yield Step(0.1, "search_query", {"query_length": rng.randint(3, 48), "results_count": found})


def _ask_coach(rng: Random) -> Iterator[Step]:
    # a letter before the digits: a few in a million would look like a phone number and be rejected
    conversation = f"conversation-c{rng.getrandbits(48):012x}"
    for _ in range(rng.choice((1, 1, 2, 3))):
        length = min(1 + int(rng.lognormvariate(4.0, 0.8)), 4000)
        yield Step(rng.uniform(5, 60), "ai_message_sent", {"conversation_id": conversation, "message_length": length})
        answer_ms = round(min(rng.lognormvariate(7.0, _SPREAD), 60_000.0), 1)
        yield from _request(rng, COACH, 0.1)
        facts = {
            "conversation_id": conversation,
            "response_time_ms": answer_ms,
            "tokens": min(20 + int(rng.lognormvariate(5.0, 0.6)), 4000),
            "model": rng.choice(_MODELS),
        }
        yield Step(answer_ms / 1000, "ai_message_received", facts)
    if rng.random() < 0.3:
        rating = rng.choices((1, 2, 3, 4, 5), (4, 5, 12, 35, 44))[0]
        yield Step(rng.uniform(1, 10), "ai_feedback_rated", {"conversation_id": conversation, "rating": rating})


def _request(rng: Random, endpoint: Endpoint, delay: float) -> Iterator[Step]:
    codes, shares = zip(*_STATUSES, strict=True)
    status = rng.choices(codes, shares)[0]
    latency = endpoint.median_ms * _SLOWNESS.get(status, 1.0) * rng.lognormvariate(0.0, _SPREAD)
    call = {"endpoint": endpoint.route, "method": endpoint.method, "status_code": status}
    yield Step(delay, "api_request", {**call, "duration_ms": round(latency, 2)})
    if status in _ERRORS:
        yield Step(0.0, "api_error", {**call, "error_type": _ERRORS[status]})

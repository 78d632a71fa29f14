"""Real learners: every number of the answers about the EPM data set, compared with an independent computation.

The oracle computes the numbers from the CSV with loops and sets. It shares no code with the mapper or the product.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from tests.support.system import System, analytics

EPM = Path(__file__).parents[2] / "examples" / "epm"
DATA = EPM / "epm-labs-1-3.csv.gz"
STUDENTS = 105
AGGREGATES = (
    "learning_sessions",
    "gamification_stats",
    "learner_achievements",
    "learner_materials",
    "daily_activity_summary",
    "ai_coach_metrics",
    "active_users_hourly",
    "analytics_events",
)
HOT = {"hourly_event_counts": "hour, event_type", "system_metrics": "bucket_start, endpoint, latency_bucket"}


@dataclass
class Day:
    """The activity of a student on a date."""

    events: int = 0
    seconds: int = 0
    sessions: int = 0
    views: int = 0
    completed: int = 0

    @property
    def xp(self) -> int:
        return 10 * self.completed


@dataclass
class Student:
    """The correct answers about a student."""

    days: dict[date, Day] = field(default_factory=lambda: defaultdict(Day))
    viewed: set[str] = field(default_factory=set)
    completed: set[str] = field(default_factory=set)

    def total(self, name: str) -> int:
        return sum(getattr(day, name) for day in self.days.values())

    def streaks(self, today: date) -> tuple[int, int]:
        """Return the current and the longest streak."""
        longest = run = 0
        day = min(self.days)
        while day <= today:
            run = run + 1 if day in self.days else 0
            longest = max(longest, run)
            day += timedelta(days=1)
        ends = [end for end in (today, today - timedelta(days=1)) if end in self.days]
        current = 0
        while ends and ends[0] - timedelta(days=current) in self.days:
            current += 1
        return current, longest


def level(xp: int) -> tuple[int, int, int]:
    """Return the level, its threshold and the next one: 100 XP for level 2, each further level 100 more."""
    number, threshold, step = 1, 0, 100
    while xp >= threshold + step:
        number, threshold, step = number + 1, threshold + step, step + 100
    return number, threshold, threshold + step


def expected(last_day: date) -> dict[str, Student]:
    """Return the correct answers of each student. `last_day` is where the last day of the data set now lies."""
    with gzip.open(DATA, "rt") as file:
        rows = list(csv.reader(file))[1:]
    moved = last_day - max(date.fromisoformat(row[5][:10]) for row in rows)
    students: dict[str, Student] = defaultdict(Student)
    spans: dict[tuple[str, str], list[str]] = {}
    ends: dict[tuple[str, str, str], str] = {}
    for lab, student, exercise, activity, start, end, *_ in rows:
        day = students[student].days[date.fromisoformat(start[:10]) + moved]
        day.events += 1
        day.views += 1
        students[student].viewed.add(activity)
        span = spans.setdefault((student, lab), [start, end])
        span[0], span[1] = min(span[0], start), max(span[1], end)
        if exercise != "Es":
            ends[student, lab, exercise] = max(end, ends.get((student, lab, exercise), ""))
    for (student, _lab), (start, end) in spans.items():
        days = students[student].days
        days[date.fromisoformat(start[:10]) + moved].events += 1
        days[date.fromisoformat(end[:10]) + moved].events += 1
        first = days[date.fromisoformat(start[:10]) + moved]
        first.sessions += 1
        first.seconds += int((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
    for (student, _lab, exercise), end in ends.items():
        students[student].completed.add(exercise)
        day = students[student].days[date.fromisoformat(end[:10]) + moved]
        day.events += 2
        day.completed += 1
    return students


def learning_overview(student: Student, today: date) -> dict[str, Any]:
    current, longest = student.streaks(today)
    xp = student.total("xp")
    return {
        "total_sessions": student.total("sessions"),
        "total_duration_seconds": student.total("seconds"),
        "materials_viewed": student.total("views"),
        "materials_completed": student.total("completed"),
        "distinct_materials_viewed": len(student.viewed),
        "distinct_materials_completed": len(student.completed),
        "xp_earned": xp,
        "total_xp": xp,
        "current_level": level(xp)[0],
        "current_streak": current,
        "longest_streak": longest,
        "achievements_earned": 0,
        "active_days": len(student.days),
        "open_sessions": 0,
    }


def heatmap(student: Student, today: date, days: int) -> list[dict[str, Any]]:
    answer = []
    for ago in reversed(range(days)):
        day = student.days.get(today - timedelta(days=ago), Day())
        answer.append(
            {
                "date": (today - timedelta(days=ago)).isoformat(),
                "activity_count": day.events,
                "duration_minutes": day.seconds / 60,
                "xp_earned": day.xp,
            }
        )
    return answer


def gamification_progress(student: Student, today: date, days: int) -> dict[str, Any]:
    xp = student.total("xp")
    number, threshold, following = level(xp)
    return {
        "current_xp": xp,
        "current_level": number,
        "xp_for_current_level": threshold,
        "xp_for_next_level": following,
        "progress_percentage": pytest.approx(100 * (xp - threshold) / (following - threshold)),
        "achievements": [],
        "xp_trend": [{"date": day["date"], "xp": day["xp_earned"]} for day in heatmap(student, today, days)],
        "reported_streak_days": None,
    }


def without_meta(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body.pop("meta")["consistent_through"]
    return body


async def contents(url: str) -> dict[str, str]:
    """Return a digest of every table, without columns that depend on the time or order of arrival."""
    connection = await asyncpg.connect(url)
    digest = "SELECT md5(coalesce(string_agg(line, '' ORDER BY line), '')) FROM ({}) AS lines (line)"
    try:
        found = {}
        for table in AGGREGATES:
            line = f"(to_jsonb(t) - 'received_at' - 'entry_id')::text FROM {table} AS t"
            found[table] = await connection.fetchval(digest.format(f"SELECT {line}"))
        for table, key in HOT.items():
            value = "events" if table == "hourly_event_counts" else "requests"
            found[table] = await connection.fetchval(
                digest.format(f"SELECT ({key}, sum({value}))::text FROM {table} GROUP BY {key}")
            )
        return found
    finally:
        await connection.close()


def mapped(file: Path) -> None:
    subprocess.run([sys.executable, str(EPM / "to_events.py"), str(DATA), str(file)], check=True, capture_output=True)


@pytest.mark.timeout(600)
async def test_every_number_of_every_learner_twice_imported(system: System, tmp_path: Path) -> None:
    file = tmp_path / "epm.ndjson.gz"
    mapped(file)
    with gzip.open(file, "rt") as lines:
        sent = list(lines)
    last_day = max(date.fromisoformat(json.loads(line)["timestamp"][:10]) for line in sent)
    students = expected(last_day)
    assert len(students) == STUDENTS

    tally = json.loads(analytics("send", str(file), "--json", "--data-dir", str(system.data_dir)))
    assert (tally["accepted"], tally["rejected"]) == (len(sent), 0)
    await system.settled()
    await check_all(system, students)
    first = await contents(system.database_url)

    random.Random(7).shuffle(sent)
    shuffled = tmp_path / "shuffled.ndjson"
    shuffled.write_text("".join(sent))
    analytics("send", str(shuffled), "--json", "--data-dir", str(system.data_dir))
    await system.settled()
    assert await contents(system.database_url) == first
    await check_all(system, students)

    report = json.loads(analytics("verify", "--json", "--data-dir", str(system.data_dir)))
    assert report["drift"] == 0
    assert [book["balanced"] for book in report["books"]] == [True]
    assert report["books"][0]["stored"] == report["books"][0]["duplicate"] == len(sent)


async def check_all(system: System, students: dict[str, Student]) -> None:
    headers = {"Authorization": f"Bearer {system.read_key}"}
    base = f"{system.dashboard_url}/api/analytics"
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=30) as client:
        for number, student in students.items():
            today = datetime.now(UTC).date()
            who = {"user_id": f"student-{number}"}
            answers = {
                path: without_meta(await client.get(path, params=who | {"days": days}))
                for path, days in (
                    ("/learning/overview", 60),
                    ("/learning/heatmap", 365),
                    ("/gamification/progress", 60),
                )
            }
            if datetime.now(UTC).date() != today:
                raise AssertionError("midnight passed between question and answer; run the test again")
            assert answers["/learning/overview"] == learning_overview(student, today), number
            assert answers["/learning/heatmap"] == {"days": heatmap(student, today, 365)}, number
            assert answers["/gamification/progress"] == gamification_progress(student, today, 60), number

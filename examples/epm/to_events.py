#!/usr/bin/env python3
"""Converts the EPM data set to events: `to_events.py IN.csv.gz OUT.ndjson.gz [--until 2026-01-31T12:00:00]`.

Needs Python 3.11 only. Times of the data set are local times of Europe/Rome. All are shifted forward by the same
number of whole weeks, so that the last one is within the 7 days before `--until` (default: now), and weekdays and times
of day do not change. Each gets the UTC offset of Rome on its day.

For each student and lab: a session from the first start to the last end, a `material_view` for each row, and for each
exercise other than plain `Es` a `material_complete` and an `xp_earned` of 10 at the end of its last row. The rows of a
student and lab are ordered by time, so the last row is the last in the file.

Every id is derived from the data, so to import it again changes nothing. Session ids are UUIDv5 of student and lab,
event ids are UUIDv7 of the event's time and a digest of its type and content.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

ROME = ZoneInfo("Europe/Rome")
NAMESPACE = UUID("c0ffee00-0e90-5346-8000-000000000346")
NO_EXERCISE = "Es"
XP_PER_EXERCISE = 10

Row = dict[str, str]
Event = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """Return the rows of the data set."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def shift_of(rows: Iterable[Row], until: datetime) -> timedelta:
    """Return the whole weeks that bring the last end within the 7 days before `until`, a local time in Rome."""
    last = max(datetime.fromisoformat(row["end_time"]) for row in rows)
    return (until - last) // timedelta(weeks=1) * timedelta(weeks=1)


def events(rows: list[Row], shift: timedelta) -> Iterator[Event]:
    """Yield the events of all students and labs, each student's lab ordered by time."""
    visits: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        visits.setdefault((row["student_id"], row["session"]), []).append(row)
    for (student, lab), visit in visits.items():
        yield from _visit_events(student, lab, visit, shift)


def _visit_events(student: str, lab: str, rows: list[Row], shift: timedelta) -> Iterator[Event]:
    name = f"{student}/{lab}"
    common = {"user_id": f"student-{student}", "session_id": str(uuid5(NAMESPACE, name))}

    def event(kind: str, what: str, moment: datetime, properties: dict[str, Any]) -> Event:
        event_id = uuid7(moment, f"{name}/{kind}/{what}")
        return {
            "event_type": kind,
            "event_id": str(event_id),
            **common,
            "timestamp": moment.isoformat(),
            "properties": properties,
        }

    first = _moment(rows[0]["start_time"], shift)
    last = max(_moment(row["end_time"], shift) for row in rows)
    yield event("session_start", "", first, {})
    finished: dict[str, datetime] = {}
    for number, row in enumerate(rows):
        start, end = _moment(row["start_time"], shift), _moment(row["end_time"], shift)
        properties = {"material_id": row["activity"], "material_type": "activity"}
        yield event("material_view", str(number), start, properties | {"duration_seconds": _seconds(start, end)})
        if row["exercise"] != NO_EXERCISE:
            finished[row["exercise"]] = end
    for exercise, end in finished.items():
        yield event("material_complete", exercise, end, {"material_id": exercise})
        yield event("xp_earned", exercise, end, {"xp_amount": XP_PER_EXERCISE, "source": "exercise"})
    yield event("session_end", "", last, {"duration_seconds": _seconds(first, last)})


def uuid7(moment: datetime, name: str) -> UUID:
    """Return a UUIDv7 (RFC 9562): the time, and a digest of `name` in the other 74 bits."""
    milliseconds = int(moment.timestamp() * 1000)
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:10], "big")
    high, low = digest >> 62 & 0xFFF, digest & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low)


def write(path: Path, lines: Iterable[Event]) -> int:
    """Write one event per line, gzipped, and return their number. Equal events give equal bytes."""
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return text.count("\n")


def _moment(wall_time: str, shift: timedelta) -> datetime:
    return (datetime.fromisoformat(wall_time) + shift).replace(tzinfo=ROME)


def _seconds(start: datetime, end: datetime) -> int:
    # by timestamps: the difference of two times in one zone ignores a change to summer time between them
    return int(end.timestamp() - start.timestamp())


def main() -> None:
    """Convert a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="IN.csv.gz")
    parser.add_argument("target", type=Path, metavar="OUT.ndjson.gz")
    parser.add_argument("--until", type=datetime.fromisoformat, help="local time in Rome; default: now")
    arguments = parser.parse_args()
    rows = read_rows(arguments.source)
    until = arguments.until or datetime.now(ROME).replace(tzinfo=None)
    count = write(arguments.target, events(rows, shift_of(rows, until)))
    print(f"{count} events of {len({row['student_id'] for row in rows})} students")


if __name__ == "__main__":
    main()

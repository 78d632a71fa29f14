"""The file format of reported cases."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

REPORTED = Path(__file__).with_name("reported.json")

_MOMENT = re.compile(
    r"\$NOW(?P<later>_PLUS_1H)?(?P<fraction>\.\d+)?(?P<offset>Z|[+-]\d\d:?\d\d)?"
    r"|the present moment, written in (?P<written>[+-]\d\d:\d\d)(?: \([^)]*\))?"
)


@dataclass(frozen=True)
class Case:
    """One input and its expected result."""

    id: str
    kind: str
    facts: Mapping[str, Any]

    @property
    def expected(self) -> Mapping[str, Any]:
        """The expected result in the file. `note` is for people only."""
        found: Mapping[str, Any] = self.facts["expected"]
        return found

    @property
    def title(self) -> str:
        """Test id: the case id and its kind, without characters that a shell would interpret."""
        return f"{self.id}-{re.sub(r'[^a-z0-9]+', '-', self.kind.lower()).strip('-')}"

    @property
    def steps(self) -> list[Mapping[str, Any]] | None:
        """The requests in order; None for a case that is described in prose and needs a script."""
        if "request" in self.facts:
            return [self.facts["request"]]
        steps = self.facts.get("steps")
        if isinstance(steps, list) and all(isinstance(step, dict) and "method" in step for step in steps):
            return list(steps)
        return None


def read_cases(file: Path) -> list[Case]:
    """Return the cases of a file. Raises ValueError if an id is repeated."""
    cases = [Case(facts["id"], facts["kind"], facts) for facts in json.loads(file.read_text("utf-8"))["cases"]]
    if len({case.id for case in cases}) != len(cases):
        raise ValueError(f"{file} repeats a case id")
    return cases


def at_moment(value: Any, now: datetime) -> Any:
    """Return a JSON value in which each `$NOW` is replaced by `now`, in the UTC offset that follows it."""
    match value:
        case str():
            return _MOMENT.sub(lambda found: _moment(found, now), value)
        case list():
            return [at_moment(each, now) for each in value]
        case dict():
            return {name: at_moment(each, now) for name, each in value.items()}
        case _:
            return value


def _moment(found: re.Match[str], now: datetime) -> str:
    offset = found["written"] or found["offset"] or ""
    moment = now + timedelta(hours=1) if found["later"] else now
    local = moment.astimezone(_zone(offset))
    return local.strftime("%Y-%m-%dT%H:%M:%S") + (found["fraction"] or "") + offset


def _zone(offset: str) -> timezone:
    if offset in ("", "Z"):
        return UTC
    digits = offset[1:].replace(":", "")
    distance = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-distance if offset[0] == "-" else distance)

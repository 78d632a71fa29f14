"""Times as people type them: an age, a date or a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cli.time_options import parse_time
from runtime.errors import ConfigurationError

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("30s", NOW - timedelta(seconds=30)),
        ("90m", NOW - timedelta(minutes=90)),
        ("24h", NOW - timedelta(days=1)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-11-24T10:00", datetime(2026, 11, 24, 10, tzinfo=UTC)),
        ("2026-11-24T10:00+02:00", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
    ],
)
def test_ages_and_times_are_understood(text: str, time: datetime) -> None:
    assert parse_time("--since", text, NOW) == time


@pytest.mark.parametrize("text", ["", "yesterday", "5", "5w", "999999d999999d", "2026-13-01", "-1h", "999999d"])
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^--since: .* is neither an age such as 24h"):
        parse_time("--since", text, NOW)

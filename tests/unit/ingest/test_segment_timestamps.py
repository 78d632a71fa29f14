"""Timestamps of Segment clients are accepted where they are unambiguous."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.parsing.batch import validate_event
from ingest.rejection import Rejection
from ingest.segment.timestamps import MIN_SKEW, as_rfc_3339, clock_ahead, moved_back

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("2026-11-24T12:00:00+0000", "2026-11-24T12:00:00+00:00"),
        ("2026-11-24T12:00:00-0800", "2026-11-24T12:00:00-08:00"),
        ("2026-11-24T12:00:00.123+0530", "2026-11-24T12:00:00.123+05:30"),
        ("2026-11-24T12:00:00+00", "2026-11-24T12:00:00+00:00"),
        ("2026-11-24T12:00:00\u22120800", "2026-11-24T12:00:00-08:00"),
        ("2026-11-24 12:00:00 +0000", "2026-11-24T12:00:00+00:00"),
        ("2026-11-24 12:00:00 UTC", "2026-11-24T12:00:00Z"),
        ("2026-11-24 12:00:00.5 +0100 UTC", "2026-11-24T12:00:00.5+01:00"),
        ("2026-11-24T12:00:00,123Z", "2026-11-24T12:00:00.123Z"),
        ("2026-11-24T12:00Z", "2026-11-24T12:00:00Z"),
        ("20261124T120000Z", "2026-11-24T12:00:00Z"),
        ("20261124T120000.25-0800", "2026-11-24T12:00:00.25-08:00"),
        (" 2026-11-24T12:00:00Z\n", "2026-11-24T12:00:00Z"),
        (1_763_942_400, "2025-11-24T00:00:00+00:00"),
        (1_763_942_400_123, "2025-11-24T00:00:00.123000+00:00"),
        (1_763_942_400.5, "2025-11-24T00:00:00.500000+00:00"),
    ],
)
def test_what_can_be_read_in_one_way_is_read(sent: Any, read: str) -> None:
    assert as_rfc_3339(sent) == read
    assert not isinstance(validate_event({"event_type": "session_start", "user_id": "u", "timestamp": read}), Rejection)


@pytest.mark.parametrize(
    "sent",
    [
        "2026-11-24T12:00:00.123456789Z",
        "2026-11-24t12:00:00z",
        "2026-11-24T12:00:00",
        "2026-11-24",
        "24.11.2026 12:00:00 +0000",
        "Tue, 24 Nov 2026 12:00:00 GMT",
        "2026-W48-2T12:00:00Z",
        "2026-11-24T12:00:00 CET",
        "2026-1124T12:00:00Z",
        "1763942400",
        "",
        17,
        -1_763_942_400,
        10**11,
        10**400,
        float("inf"),
        float("nan"),
        True,
        None,
        ["2026-11-24T12:00:00+0000"],
    ],
)
def test_what_is_read_already_or_cannot_be_stays_for_others_to_judge(sent: Any) -> None:
    assert as_rfc_3339(sent) is sent


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(["%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%d %H:%M:%S.%f %z", "%Y%m%dT%H%M%S,%f%z"]),
)
def test_every_instant_is_the_same_in_every_form(moment: datetime, minutes: int, form: str) -> None:
    instant = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    # strftime does not pad years below 1000
    text = instant.strftime(form.replace("%Y", f"{instant.year:04}"))
    assert datetime.fromisoformat(as_rfc_3339(text)) == instant


@pytest.mark.parametrize("ahead", [MIN_SKEW + timedelta(microseconds=1), timedelta(hours=1), timedelta(days=400)])
def test_a_clock_is_ahead_by_what_its_stamp_is(ahead: timedelta) -> None:
    assert clock_ahead((NOW + ahead).isoformat(), NOW) == ahead


@pytest.mark.parametrize("sent_at", [NOW + MIN_SKEW, NOW, NOW - timedelta(days=1)])
def test_a_stamp_that_is_late_or_about_right_says_nothing(sent_at: datetime) -> None:
    assert clock_ahead(sent_at.isoformat(), NOW) is None


@pytest.mark.parametrize("moment", ["soon", "2026-11-24T12:00:00", None, 5, "0001-01-01T00:00:00Z"])
def test_what_cannot_be_moved_stays(moment: Any) -> None:
    assert moved_back(moment, timedelta(hours=1)) is moment

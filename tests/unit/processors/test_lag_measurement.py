"""What maintenance says of a lag that Redis does not report."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from processors.maintenance.lag_measurement import publish_lag
from stream.entries.lag import GroupLag
from telemetry import leader_facts

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SERIES = ("s", "g")


def group_lag(undelivered: int | None) -> GroupLag:
    return GroupLag(20, 9, undelivered, 2, NOON - timedelta(seconds=1.5), NOON)


def test_an_unknown_lag_is_not_a_lag_of_zero() -> None:
    publish_lag(*SERIES, group_lag(7))
    assert leader_facts.LAG_KNOWN.facts[SERIES].value == 1
    assert leader_facts.LAG_ENTRIES.facts[SERIES].value == 7
    assert leader_facts.PENDING_ENTRIES.facts[SERIES].value == 2
    assert leader_facts.STREAM_LENGTH.facts["s",].value == 9
    publish_lag(*SERIES, group_lag(None))
    assert leader_facts.LAG_KNOWN.facts[SERIES].value == 0
    assert leader_facts.LAG_SECONDS.facts[SERIES].value == 1.5
    assert math.isnan(leader_facts.LAG_ENTRIES.facts[SERIES].value)

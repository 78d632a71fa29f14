"""A process dies where a test says, at the hit it says, and nowhere when it says nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from runtime.environment import load_settings
from runtime.errors import ConfigurationError
from runtime.failpoints import Failpoint, arm, reach


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _pid, number: sent.append(number))
    yield sent
    arm(None)


def test_a_failpoint_kills_once_at_its_point_and_hit(signals: list[int]) -> None:
    arm("after_commit:kill:2")
    reach(Failpoint.AFTER_READ)
    reach(Failpoint.AFTER_COMMIT)
    assert signals == []
    reach(Failpoint.AFTER_COMMIT)
    reach(Failpoint.AFTER_COMMIT)
    assert signals == [signal.SIGKILL]


def test_it_freezes(signals: list[int]) -> None:
    arm("after_copy:stop")
    reach(Failpoint.AFTER_COPY)
    assert signals == [signal.SIGSTOP]


def test_without_a_failpoint_nothing_happens(signals: list[int]) -> None:
    for point in Failpoint:
        reach(point)
    assert signals == []


@pytest.mark.parametrize("spec", ["", "after_commit", "nowhere:kill", "after_commit:explode", "after_commit:kill:0"])
def test_an_invalid_failpoint_is_refused_and_the_valid_ones_are_listed(spec: str) -> None:
    with pytest.raises(ConfigurationError, match="after_commit"):
        arm(spec)


def test_failpoints_are_refused_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_FAILPOINT", "after_commit:kill")
    with pytest.raises(ConfigurationError, match="ANALYTICS_ENVIRONMENT"):
        load_settings()
    monkeypatch.setenv("ANALYTICS_ENVIRONMENT", "dev")
    assert load_settings().failpoint == "after_commit:kill"

"""Settings that would count events twice or trim what our own groups need are refused at the start."""

from __future__ import annotations

import pytest

from runtime.environment import load_settings
from runtime.errors import ConfigurationError
from runtime.setting_values.ignored_groups import OWN_GROUPS
from stream.keys import LIVE_GROUP, STORE_GROUP

IGNORED = "ANALYTICS_TRIM_IGNORE_GROUPS"


def test_raw_events_that_go_before_their_entries_are_refused_by_the_names_of_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANALYTICS_RAW_RETENTION_DAYS", "6")
    with pytest.raises(ConfigurationError, match=r"ANALYTICS_RAW_RETENTION_DAYS.*ANALYTICS_EVENT_RETENTION_DAYS"):
        load_settings()
    monkeypatch.setenv("ANALYTICS_EVENT_RETENTION_DAYS", "6")
    assert load_settings().raw_retention_days == 6


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("", ()),
        ("spy", ("spy",)),
        ("spy, etl ,,spy", ("spy", "etl")),
        ('["spy", "a,b"]', ("spy", "a,b")),
        ("[]", ()),
    ],
)
def test_groups_to_ignore_are_a_json_list_or_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, text: str, groups: tuple[str, ...]
) -> None:
    monkeypatch.setenv(IGNORED, text)
    assert load_settings().trim_ignore_groups == groups


@pytest.mark.parametrize("text", ["store", "spy,live", '["store"]', "[1]", "[spy]"])
def test_our_own_groups_and_what_is_no_list_of_names_are_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(IGNORED, text)
    with pytest.raises(ConfigurationError, match=IGNORED):
        load_settings()


def test_the_groups_that_cannot_be_ignored_are_those_of_the_stream() -> None:
    assert {STORE_GROUP, LIVE_GROUP} == OWN_GROUPS

"""Synthetic traffic is valid, reproducible, of every type, and with the expected disorder."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random

import pytest

from cli.demo.learners import _ask_coach
from cli.demo.traffic import Event, demo_events, demo_learners, live_events
from ingest.privacy.detectors import Personal, find_personal
from schemas.catalogue import EventType
from schemas.events import EVENT

NOW = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def history() -> list[Event]:
    return list(demo_events(7, 20, 8_000, NOW, 28))


def moment(event: Event) -> datetime:
    return datetime.fromisoformat(event["timestamp"])


def by_id(events: list[Event]) -> dict[str, list[Event]]:
    found = defaultdict(list)
    for event in events:
        found[event["event_id"]].append(event)
    return found


def test_every_event_is_valid_and_every_type_is_there(history: list[Event]) -> None:
    assert {EVENT.validate_json(json.dumps(event)).event_type for event in history} == set(EventType)


def test_the_same_arguments_give_the_same_events(history: list[Event]) -> None:
    assert list(demo_events(7, 20, 8_000, NOW, 28)) == history


@pytest.mark.parametrize(
    ("seed", "now"), [(8, NOW), (7, NOW + timedelta(days=1))], ids=["another seed", "another time"]
)
def test_other_arguments_share_no_id(history: list[Event], seed: int, now: datetime) -> None:
    others = list(demo_events(seed, 20, 2_000, now, 28))
    assert not by_id(others).keys() & by_id(history).keys()
    sessions = {event.get("session_id") for event in history} - {None}
    assert not {event.get("session_id") for event in others} & sessions


@pytest.mark.parametrize("count", [1, 2, 999])
def test_there_are_exactly_as_many_as_asked_for(count: int) -> None:
    assert len(list(demo_events(1, 3, count, NOW, 5))) == count


def test_about_one_in_twenty_is_sent_again_unchanged(history: list[Event]) -> None:
    copies = by_id(history).values()
    repeated = sum(len(each) - 1 for each in copies)
    assert 0.03 < repeated / len(history) < 0.07
    assert all(each == same[0] for same in copies for each in same)


def test_it_spans_the_history_and_nothing_is_of_the_future(history: list[Event]) -> None:
    moments = [moment(event) for event in history]
    assert NOW - timedelta(days=28) <= min(moments) < NOW - timedelta(days=27)
    assert NOW - timedelta(days=1) < max(moments) <= NOW


def test_some_come_hours_late(history: list[Event]) -> None:
    newest = moment(history[0])
    late = 0
    for event in history:
        late += newest - moment(event) > timedelta(hours=1)
        newest = max(newest, moment(event))
    assert 0.01 < late / len(history) < 0.1


def test_timestamps_have_the_offset_of_the_learner(history: list[Event]) -> None:
    offsets = defaultdict(set)
    for event in history:
        if "user_id" in event:
            offsets[event["user_id"]].add(moment(event).utcoffset())
    assert all(len(each) == 1 for each in offsets.values())
    assert len({offset for each in offsets.values() for offset in each}) > 3


def test_learners_are_numbered(history: list[Event]) -> None:
    assert {event["user_id"] for event in history if "user_id" in event} == {f"demo-user-{n}" for n in range(1, 21)}


def test_a_session_end_says_the_time_since_the_first_event_of_its_session(history: list[Event]) -> None:
    sessions = defaultdict(list)
    for event in history:
        sessions[event.get("session_id")].append(event)
    ends = [event for event in history if event["event_type"] == "session_end"]
    assert ends
    for end in ends:
        first = min(map(moment, sessions[end["session_id"]]))
        assert end["properties"]["duration_seconds"] == pytest.approx((moment(end) - first).total_seconds(), abs=0.2)


def test_server_errors_come_with_an_api_error(history: list[Event]) -> None:
    unique = [same[0] for same in by_id(history).values()]
    errors = [event["properties"]["status_code"] for event in unique if event["event_type"] == "api_error"]
    failed = [
        event["properties"]["status_code"]
        for event in unique
        if event["event_type"] == "api_request" and event["properties"]["status_code"] >= 500
    ]
    assert failed
    assert sorted(code for code in errors if code >= 500) == sorted(failed)


def test_levels_follow_from_the_xp() -> None:
    learners = demo_learners(1, 5)
    events = list(demo_events(1, 5, 4_000, NOW, 10, learners))
    levels = {e["user_id"]: e["properties"]["new_level"] for e in events if e["event_type"] == "level_up"}
    assert levels
    for learner in learners:
        steps = learner.level - 1
        assert 50 * steps * (steps + 1) <= learner.xp < 50 * (steps + 1) * (steps + 2)


class TestLive:
    def test_events_are_valid_and_of_every_type(self) -> None:
        events = list(islice(live_events(3, 20, lambda: NOW), 6_000))
        assert {EVENT.validate_json(json.dumps(event)).event_type for event in events} == set(EventType)
        copies = by_id(events).values()
        assert 0.03 < sum(len(each) - 1 for each in copies) / len(events) < 0.07
        assert all(each == same[0] for same in copies for each in same)

    def test_most_are_of_this_moment_and_none_of_a_later_one(self) -> None:
        moments = [moment(event) for event in islice(live_events(3, 20, lambda: NOW), 2_000)]
        assert max(moments) == NOW
        assert 0.9 < sum(each == NOW for each in moments) / len(moments) < 1

    def test_learners_go_on_from_where_they_are(self) -> None:
        learners = demo_learners(1, 2)
        for learner in learners:
            learner.xp, learner.level = 10_000, 14
        levels = [
            event["properties"]["new_level"]
            for event in islice(live_events(1, 2, lambda: NOW, learners), 3_000)
            if event["event_type"] == "level_up"
        ]
        assert levels
        assert min(levels) == 15

    def test_two_starts_share_no_id(self) -> None:
        first = list(islice(live_events(3, 20, lambda: NOW), 500))
        second = list(islice(live_events(3, 20, lambda: NOW + timedelta(minutes=1)), 500))
        assert not by_id(first).keys() & by_id(second).keys()


class _ADialledNumber(Random):
    """Returns bits whose hexadecimal digits are those of a phone number."""

    def getrandbits(self, bits: int, /) -> int:
        return 0x0049_3012_3456 if bits == 48 else super().getrandbits(bits)


def test_no_conversation_reads_like_a_phone_number() -> None:
    assert find_personal("tel-004930123456") is Personal.PHONE
    steps = list(_ask_coach(_ADialledNumber(1)))
    named = {step.properties["conversation_id"] for step in steps if "conversation_id" in step.properties}
    [conversation] = named
    assert conversation.endswith("004930123456")
    assert find_personal(conversation) is None

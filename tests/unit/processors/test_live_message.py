"""A live message holds the data of its event, and its head can be read without parsing the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from processors.live.worker import prepare
from schemas.accepted import AcceptedEvent
from schemas.catalogue import EventType
from schemas.entry import MalformedEntry, encode
from schemas.live import UnknownEvent, XpEarnedEvent, head_of, message_tail, parse_message
from stream.entries.entry import Entry
from stream.live.publisher import Move
from tests.support.entries import as_read, as_read_before
from tests.support.events import accepted_events, event, learner


def message_of(one: AcceptedEvent, number: int = 7) -> bytes:
    return f'{{"id":"{number}",{message_tail(encode(one))}'.encode()


@given(accepted_events())
def test_a_message_tells_the_event_whole(original: AcceptedEvent) -> None:
    document = json.loads(message_of(original))

    assert document.pop("id") == "7"
    assert document == {
        "event_type": original.event_type,
        "user_hash": original.user_hash.hex() if original.user_hash else None,
        "event_id": str(original.event_id),
        "session_id": str(original.session_id) if original.session_id else None,
        "occurred_at": original.occurred_at.isoformat(),
        "received_at": original.received_at.isoformat(),
        "activity_date": original.activity_date.isoformat(),
        "schema_version": 1,
        "source": "tests",
        "properties": json.loads(original.properties),
    }


@given(accepted_events())
def test_a_subscriber_reads_it_typed(original: AcceptedEvent) -> None:
    parsed = parse_message(message_of(original))

    assert type(parsed) is not UnknownEvent
    assert (parsed.id, parsed.event_type, parsed.event_id) == ("7", original.event_type, original.event_id)
    assert (parsed.session_id, parsed.occurred_at, parsed.received_at, parsed.activity_date) == (
        original.session_id,
        original.occurred_at,
        original.received_at,
        original.activity_date,
    )
    for name, value in json.loads(original.properties).items():
        assert getattr(parsed, name) == value


@given(accepted_events())
def test_the_head_is_read_without_the_rest(original: AcceptedEvent) -> None:
    head = head_of(message_of(original, 1_790_000_000_000_000))

    assert head is not None
    assert (head.id, head.event_type) == (1_790_000_000_000_000, original.event_type)
    assert head.user_hash == (original.user_hash.hex() if original.user_hash else None)


def test_what_is_no_message_has_no_head() -> None:
    assert head_of(b'{"event_type":"xp_earned"}') is None


def test_the_properties_of_an_event_are_its_own() -> None:
    parsed = parse_message(message_of(event("xp_earned", {"xp_amount": 50, "source": "quiz"})))

    assert isinstance(parsed, XpEarnedEvent)
    assert (parsed.xp_amount, parsed.source, parsed.service) == (50, "quiz", "tests")


def test_a_subscriber_survives_what_a_newer_server_says() -> None:
    newer = message_of(event("xp_earned", {"xp_amount": 5})).replace(b'"xp_amount":5', b'"xp_amount":5,"multiplier":2')
    other = message_of(event("level_up", {"new_level": 2})).replace(b"level_up", b"badge_shown")

    assert isinstance(parse_message(newer), XpEarnedEvent)
    unknown = parse_message(other)
    assert isinstance(unknown, UnknownEvent)
    assert unknown.properties == {"new_level": 2}


def entry(number: int, one: AcceptedEvent) -> Entry:
    return Entry(f"{number}-0", as_read(encode(one)))


def test_who_is_erased_and_what_is_no_event_is_passed_over() -> None:
    entries = [
        entry(1, event("xp_earned", {"xp_amount": 1})),
        entry(2, event("xp_earned", {"xp_amount": 2}, user_hash=learner(9))),
        Entry("3-0", {b"event_type": b"xp_earned"}),
        entry(4, event("api_error", {"endpoint": "/a", "error_type": "crash"}, user_hash=None)),
    ]
    move, publications, results, oldest = prepare("0-7", entries, {learner(9)})

    assert move == Move("0-7", "4-0", 4)
    assert [one.event_type for one in publications] == [EventType.XP_EARNED, EventType.API_ERROR]
    assert results == {"suppressed": 1, "unreadable": 1}
    assert oldest == event("xp_earned").received_at


@given(accepted_events())
def test_entries_of_the_release_before_become_the_same_messages(one: AcceptedEvent) -> None:
    before = Entry("1-0", as_read_before(encode(one)))
    assert prepare("0-0", [before], set()) == prepare("0-0", [entry(1, one)], set())


@pytest.mark.parametrize(
    "changes",
    [
        {"properties": "{"},
        {"properties": "[1]"},
        {"properties": '{"xp_amount": NaN}'},
        {"properties": '{"xp_amount":1},"user_hash":"x","y":{}'},
        {"properties": '{"xp_amount":1,"note":"anna@example.org"}'},
        {"properties": '{"xp_amount":"many"}'},
        {"source": 'a"b'},
        {"source": "a\x00b"},
    ],
)
def test_what_would_break_or_betray_others_is_no_message(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedEntry):
        message_tail(encode(event("xp_earned", {"xp_amount": 1})._replace(**changes)))


def test_a_message_is_one_line_whoever_wrote_the_entry() -> None:
    written = event("xp_earned")._replace(properties='{\n "xp_amount":\r\n 5}\n\n')

    assert b"\n" not in message_of(written)
    assert b"\r" not in message_of(written)
    assert json.loads(message_of(written))["properties"] == {"xp_amount": 5}

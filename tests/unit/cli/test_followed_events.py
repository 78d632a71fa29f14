"""`analytics tail` shows an event exactly as `analytics events` shows it later."""

from __future__ import annotations

from hypothesis import given
from studyin_analytics.schemas.live import parse_message

from cli.commands.tail import to_stored_event
from dashboard.answers.event_page import stored_event
from schemas.accepted import AcceptedEvent
from schemas.entry import encode
from schemas.live import message_tail
from tests.support.events import accepted_events, event


def message_of(one: AcceptedEvent) -> bytes:
    return f'{{"id":"7",{message_tail(encode(one))}'.encode()


@given(accepted_events())
def test_it_is_the_same_live_and_stored(original: AcceptedEvent) -> None:
    shown = to_stored_event(parse_message(message_of(original))).model_dump()

    assert shown.pop("id") == "7"
    assert shown == stored_event(original).model_dump()


def test_an_event_of_a_newer_version_is_shown_as_it_came() -> None:
    newer = message_of(event("level_up", {"new_level": 2})).replace(b"level_up", b"badge_shown")
    shown = to_stored_event(parse_message(newer))

    assert (shown.event_type, shown.properties) == ("badge_shown", {"new_level": 2})

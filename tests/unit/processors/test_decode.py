"""Every entry becomes an event or a dead letter."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.store.decode import StorableRange, decode_entries
from schemas.accepted import AcceptedEvent
from schemas.entry import ROW, encode, pack
from schemas.identifiers import canonical_event_id, unix_milliseconds
from storage.retention.partition_weeks import AHEAD, GRACE
from stream.entries.entry import Entry
from tests.support.entries import as_read, as_read_before
from tests.support.events import NOW, accepted_events, event, uuid7

RANGE = StorableRange.around(NOW, timedelta(days=90))


def entry(one: AcceptedEvent, number: int = 1) -> Entry:
    return Entry(f"{number}-0", as_read(encode(one)))


def test_good_neighbours_are_kept_in_order() -> None:
    good = [event("session_start", number=number) for number in range(3)]
    bad = Entry("9-0", {b"event_type": b"party"})
    events, letters = decode_entries([entry(good[0], 1), bad, entry(good[1], 2), entry(good[2], 3)], RANGE)
    assert events == [(f"{n}-0", pack(encode(one))) for n, one in enumerate(good, 1)]
    assert [(letter.entry_id, letter.reason) for letter in letters] == [("9-0", "unknown_event_type")]
    assert letters[0].detail
    assert letters[0].event_id is None


def test_entries_of_the_release_before_become_the_same_rows() -> None:
    one = event("session_start")
    before = Entry("1-0", as_read_before(encode(one)))
    assert decode_entries([before], RANGE) == decode_entries([entry(one)], RANGE)


@given(accepted_events())
def test_the_parts_of_a_row_are_those_of_its_event(one: AcceptedEvent) -> None:
    [received], _ = decode_entries([entry(one)], StorableRange(0, 2**62))
    written = encode(one)
    assert (received.event_id, received.event_type) == (written.event_id, written.event_type)
    assert received.received_at == written.received_at


@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=1))
def test_the_order_of_received_times_is_that_of_their_texts(moments: list[datetime]) -> None:
    events = [event("session_start", received_at=moment) for moment in moments]
    received, _ = decode_entries([entry(one) for one in events], RANGE)
    assert min(one.received_at for one in received) == min(moments).isoformat()


def test_what_can_be_stored_is_what_has_a_partition() -> None:
    lowest, highest = NOW - timedelta(days=90) - GRACE, NOW + AHEAD - timedelta(weeks=1)
    assert StorableRange.around(NOW, timedelta(days=90)) == (unix_milliseconds(lowest), unix_milliseconds(highest))
    edge = timedelta(milliseconds=1)
    for moment, holds in ((lowest, True), (lowest - edge, False), (highest, True), (highest + edge, False)):
        assert RANGE.holds(str(uuid7(moment, 1))) is holds


@pytest.mark.parametrize("days", [-105, 30])
def test_an_id_whose_week_has_no_partition_is_parked(days: int) -> None:
    strange = event("session_start", event_id=uuid7(NOW + timedelta(days=days), 1))
    events, [letter] = decode_entries([entry(strange)], RANGE)
    assert not events
    assert (letter.reason, letter.event_id) == ("event_id_time_out_of_range", strange.event_id)
    assert (letter.entry_id, letter.detail) == ("1-0", "the time in the event id is outside the stored range")
    assert json.loads(letter.payload)["event_type"] == "session_start"


def test_an_id_mapped_from_a_string_has_its_own_partition() -> None:
    mapped = event("session_start", event_id=canonical_event_id("order-1", "tests"))
    assert len(decode_entries([entry(mapped)], RANGE)[0]) == 1


@given(
    st.lists(
        accepted_events().map(entry)
        | st.builds(Entry, st.just("1-0"), st.dictionaries(st.just(ROW) | st.binary(), st.binary()))
    )
)
def test_nothing_disappears_and_every_dead_letter_fits_a_text_column(entries: list[Entry]) -> None:
    events, letters = decode_entries(entries, RANGE)
    assert len(events) + len(letters) == len(entries)
    for letter in letters:
        assert letter.payload.isascii()
        assert "\x00" not in letter.payload
        assert isinstance(json.loads(letter.payload), dict)

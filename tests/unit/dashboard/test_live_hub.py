"""Selection of messages in memory, the form of frames, and the intervals of the hub."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.live import frames
from dashboard.live.event_filter import EventFilter
from dashboard.live.frames import Events
from dashboard.live.pace import Pace
from dashboard.live.ring import MAX_FRAME_BYTES, Ring, RingMessage
from schemas.live import MAX_CURSOR, MAX_FRAME_EVENTS, MessageHead
from schemas.live_cursor import Position, cursor_of, parse_cursor
from tests.support.events import learner

ANNA, BEN = learner(1).hex(), learner(2).hex()
ALL = EventFilter()


def message(number: int, event_type: str = "xp_earned", user: str | None = ANNA, size: int = 0) -> RingMessage:
    text = json.dumps({"id": str(number), "event_type": event_type, "filler": "x" * size}, separators=(",", ":"))
    return RingMessage(MessageHead(number, event_type, user), text.encode())


def ring(numbers: range, capacity: int = 10_000) -> Ring:
    filled = Ring(capacity, (numbers.start - 1,))
    for number in numbers:
        filled.extend([message(number)], (number,))
    return filled


def ids(selected: list[RingMessage]) -> list[int]:
    return [one.head.id for one in selected]


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([ANNA, BEN, None])), max_size=1_200),
    st.sampled_from([None, frozenset({"a"}), frozenset({"a", "b"})]),
    st.sampled_from([None, frozenset({ANNA}), frozenset({ANNA, BEN})]),
)
def test_a_cursor_passes_everything_once_and_in_order(
    facts: list[tuple[str, str | None]], types: frozenset[str] | None, users: frozenset[str] | None
) -> None:
    messages = [message(number, *fact) for number, fact in enumerate(facts, start=1)]
    full = Ring(10_000, (0,))
    full.extend(messages, (len(messages),))
    cursor: Position = (0,)
    wanted, seen = EventFilter(types, users), list[int]()
    while cursor < full.end:
        selected, cursor = full.select(cursor, wanted)
        assert len(selected) <= MAX_FRAME_EVENTS
        seen += ids(selected)
    assert seen == [
        number
        for number, (event_type, user) in enumerate(facts, start=1)
        if (types is None or event_type in types) and (users is None or user in users)
    ]


def test_a_message_without_a_learner_matches_no_learner() -> None:
    wanted = EventFilter.of(None, [learner(1)])
    assert wanted.matches(message(1).head)
    assert not wanted.matches(message(1, user=None).head)
    assert ALL.matches(message(1, user=None).head)


def test_a_frame_is_no_longer_than_clients_take() -> None:
    big = Ring(100, (0,))
    big.extend([message(number, size=MAX_FRAME_BYTES // 3) for number in range(1, 8)], (7,))
    big.extend([message(8, size=2 * MAX_FRAME_BYTES)], (8,))
    cursor: Position = (0,)
    found = []
    while cursor < big.end:
        selected, cursor = big.select(cursor, ALL)
        found.append(ids(selected))
    assert found == [[1, 2], [3, 4], [5, 6], [7], [8]]


def test_the_ring_forgets_the_oldest_and_says_so() -> None:
    short = ring(range(1, 21), capacity=10)
    assert (short.floor, short.end) == ((10,), (20,))
    assert [short.covers((cursor,)) for cursor in (9, 10, 20, 21)] == [False, True, True, False]
    assert ids(short.select((10,), ALL).messages) == list(range(11, 21))


def test_forgotten_messages_are_not_selected() -> None:
    short = ring(range(1, 11))
    short.forget(4)
    assert (short.floor, ids(short.select((4,), ALL).messages)) == ((4,), list(range(5, 11)))
    short.forget(1_000)
    assert (short.floor, short.end, short.select((10,), ALL).messages) == ((10,), (10,), [])


def test_an_empty_read_moves_the_end_of_the_ring() -> None:
    quiet = ring(range(1, 3))
    quiet.extend((), (9,))
    assert quiet.select((2,), ALL) == ([], (9,))


def test_both_forms_of_a_frame_carry_the_messages_as_they_are() -> None:
    frame = Events((6,), ring(range(7, 9)).select((6,), ALL))
    assert json.loads(frame.text) == {
        "type": "events",
        "events": [json.loads(message(number).text) for number in (7, 8)],
        "cursor": "8",
    }
    assert frame.event.decode() == "".join(
        f"id: {number}\nevent: xp_earned\ndata: {message(number).text.decode()}\n\n" for number in (7, 8)
    )


def of_partition(partition: int, number: int) -> RingMessage:
    return message(number)._replace(partition=partition)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=60), st.data())
def test_from_any_position_each_message_of_each_partition_comes_once_and_in_order(
    steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Partitions are merged differently by other processes, so a position may be further in one of them."""
    last, messages = [0, 0, 0], []
    for partition, step in steps:
        last[partition] += 1 + step
        messages.append(of_partition(partition, last[partition]))
    full = Ring(20, (0, 0, 0))
    for one in messages:
        full.extend([one], tuple(one.head.id if number == one.partition else at for number, at in enumerate(full.end)))
    start = tuple(data.draw(st.integers(low, high)) for low, high in zip(full.floor, full.end, strict=True))
    assert full.covers(start)
    at, found = start, list[RingMessage]()
    while at != full.end:
        selected, at = full.select(at, ALL)
        found += selected
    for number in range(3):
        expected = [one.head.id for one in messages if one.partition == number and one.head.id > start[number]]
        assert [one.head.id for one in found if one.partition == number] == expected


def test_with_several_partitions_a_message_has_the_cursor_after_it_as_id() -> None:
    both = Ring(10, (0, 0))
    both.extend([of_partition(0, 5), of_partition(1, 4), of_partition(0, 6)], (6, 4))
    frame = Events((0, 0), both.select((0, 0), ALL))
    shown = json.loads(frame.text)
    cursors = [cursor_of(position) for position in ((5, 0), (5, 4), (6, 4))]
    assert [one["id"] for one in shown["events"]] == cursors
    assert shown["cursor"] == cursors[-1]
    assert [line for line in frame.event.decode().splitlines() if line.startswith("id: ")] == [
        f"id: {cursor}" for cursor in cursors
    ]
    resumed = parse_cursor(cursors[1], 2)
    assert resumed is not None
    assert ids(both.select(resumed, ALL).messages) == [6]


@given(st.lists(st.integers(0, 10**16 - 1), min_size=1, max_size=80))
def test_a_cursor_comes_back_as_it_was_made(position: list[int]) -> None:
    assert parse_cursor(cursor_of(tuple(position)), len(position)) == tuple(position)


def test_a_cursor_of_the_most_partitions_has_room_for_ids_of_a_month_ago() -> None:
    now, month = 1_795_651_200_123_456, 30 * 86_400 * 10**6
    longest = cursor_of((now, *(now - month for _ in range(1_023))))
    assert len(longest) <= MAX_CURSOR
    assert parse_cursor(longest, 1_024) is not None


@pytest.mark.parametrize(
    ("cursor", "partitions"),
    [
        ("1795651200123456", 2),
        (cursor_of((1, 2)), 1),
        (cursor_of((1, 2)), 3),
        (cursor_of((1, 2)) + "A", 2),
        ("~", 2),
        ("~MSwy=", 2),
        ("~_-8", 2),
        ("x", 1),
        ("~" + "_" * 40, 2),
        (cursor_of((1, 2)).replace("~", ""), 2),
        ("~" + "A" * 5_000, 2),
        ("~AAUF", 2),
        ("~AAUA", 2),
    ],
)
def test_a_cursor_of_another_system_is_none(cursor: str, partitions: int) -> None:
    assert parse_cursor(cursor, partitions) is None


def test_control_frames_have_their_documented_form() -> None:
    assert frames.welcome("7", 15).text == '{"type":"welcome","cursor":"7","heartbeat_seconds":15}'
    assert frames.heartbeat("7").event == b'id: 7\nevent: heartbeat\ndata: {"type":"heartbeat","cursor":"7"}\n\n'
    assert frames.behind("7").text == '{"type":"behind"}'
    assert json.loads(frames.resync_required("7").text) == {
        "type": "resync_required",
        "cursor": "7",
        "reason": "history_gone",
    }


def test_the_hub_gathers_longer_the_longer_a_round_takes() -> None:
    pace = Pace(poll=0.02)
    assert [pace.pause(took) for took in (0.001, 0.1, 9)] == [0.02, 0.05, 0.25]


def test_retries_back_off_up_to_a_limit() -> None:
    pace = Pace()
    assert 0.05 <= pace.retry(1) <= 0.1
    assert 1 <= pace.retry(10_000) <= 2


def test_heartbeats_are_sent_within_the_promised_interval() -> None:
    pace = Pace(turn=1, heartbeat=15)
    assert [pace.is_heartbeat_due(silent) for silent in (13.9, 14)] == [False, True]

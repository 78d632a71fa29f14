"""Sending over HTTP to a scripted ingest: what is sent again, what is not, and what is reported."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from studyin_analytics import (
    AnalyticsError,
    Client,
    ConfigurationError,
    DeliveryRefused,
    EventRejected,
    EventsDropped,
    InvalidEvent,
)

from tests.sdk.conftest import HOUR, MakesClients
from tests.support.scripted_ingest import Event, Saying, Script, ScriptedIngest, accept_all, verdicts
from tests.support.waiting import eventually


def xp(client: Client, amount: int = 5, **said: Any) -> str:
    return client.track("xp_earned", user_id="u", properties={"xp_amount": amount}, **said)


def in_turn(*script: Script) -> Script:
    """Answer each request with the next of the script; the last one repeats."""
    left = list(script)
    return lambda events: (left.pop(0) if len(left) > 1 else left[0])(events)


def saying(status: int, **headers: str) -> Script:
    return lambda _events: Saying(status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def lowered(ingest: ScriptedIngest) -> list[dict[str, str]]:
    return [{name.lower(): value for name, value in each.items()} for each in ingest.headers]


def test_a_request_is_what_ingest_expects(ingest: ScriptedIngest, client: Client) -> None:
    event_id = xp(client)
    assert client.flush(10)
    [[event]] = ingest.requests
    [headers] = lowered(ingest)
    assert event["event_id"] == event_id
    assert headers[":path"] == "/api/analytics/events/batch"
    assert headers["authorization"] == "Bearer key"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("studyin-analytics-python/")
    assert "content-encoding" not in headers
    assert headers["x-request-id"]


def test_what_is_more_than_a_kilobyte_is_compressed(ingest: ScriptedIngest, client: Client) -> None:
    ids = [xp(client) for _ in range(20)]
    assert client.flush(10)
    assert ingest.event_ids == [ids]
    assert lowered(ingest)[0]["content-encoding"] == "gzip"


def test_batches_keep_to_both_limits(ingest: ScriptedIngest, make_client: MakesClients) -> None:
    by_number, by_size = make_client(flush_at=3), make_client(max_batch_bytes=450)
    for client in (by_number, by_size):
        ids = [xp(client) for _ in range(7)]
        assert client.flush(10)
        assert [each for request in ingest.event_ids for each in request] == ids
        assert max(map(len, ingest.event_ids)) == {by_number: 3, by_size: 2}[client]
        ingest.requests.clear()


async def test_a_full_batch_and_a_waiting_time_that_is_over_send_by_themselves(
    ingest: ScriptedIngest, make_client: MakesClients
) -> None:
    full = make_client(flush_at=2)
    for _ in range(2):
        xp(full)
    await eventually(lambda: len(ingest.requests) == 1)
    xp(make_client(flush_interval=0.01))
    await eventually(lambda: len(ingest.requests) == 2)


def test_only_what_ingest_asks_for_is_sent_again_with_the_same_id_and_time(
    ingest: ScriptedIngest, client: Client, told: list[AnalyticsError]
) -> None:
    ingest.script = in_turn(
        lambda _: verdicts(["accepted", "retry", "rejected", "retry"]),
        lambda _: verdicts(["retry", "accepted"]),
        accept_all,
    )
    a, b, c, d = (xp(client) for _ in range(4))
    assert client.flush(10)
    assert ingest.event_ids == [[a, b, c, d], [b, d], [b]]
    assert [event for events in ingest.requests for event in events if event["event_id"] == b] == [
        ingest.requests[0][1]
    ] * 3
    [rejected] = told
    assert isinstance(rejected, EventRejected)
    assert (rejected.event_id, rejected.code, rejected.pointer) == (c, "rejected_by_test", "/x")
    stats = client.stats()
    assert (stats.accepted, stats.rejected, stats.pending, stats.retried) == (3, 1, 0, 2)


@pytest.mark.parametrize("trouble", [saying(503), saying(429), saying(502), saying(504), saying(408), lambda _: None])
def test_trouble_is_waited_out(
    ingest: ScriptedIngest, client: Client, trouble: Script, told: list[AnalyticsError]
) -> None:
    ingest.script = in_turn(trouble, trouble, trouble, accept_all)
    ids = [xp(client), xp(client)]
    assert client.flush(10)
    assert ingest.event_ids == [ids] * 4
    assert told == []


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_bad_event_does_not_take_its_neighbours(
    ingest: ScriptedIngest, make_client: MakesClients, told: list[AnalyticsError], status: int
) -> None:
    def refuse_thirteen(events: list[Event]) -> Saying:
        is_bad = any(event["properties"]["xp_amount"] == 13 for event in events)
        return Saying(status, {"code": "unreadable_body", "detail": "No."}) if is_bad else accept_all(events)

    ingest.script = refuse_thirteen
    client = make_client(flush_at=20)
    for amount in range(20):
        xp(client, amount)
    assert client.flush(10)
    assert (client.stats().accepted, client.stats().rejected) == (19, 1)
    [rejected] = told
    assert isinstance(rejected, EventRejected)
    assert rejected.code == "unreadable_body"
    ingest.requests.clear()
    for _ in range(100):
        xp(client)
    assert client.flush(10)
    assert max(map(len, ingest.requests)) == 20


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_sender_keeps_its_events_and_says_so_once(
    ingest: ScriptedIngest, client: Client, told: list[AnalyticsError], status: int
) -> None:
    ingest.script = in_turn(saying(status), saying(status), saying(status), accept_all)
    ids = [xp(client)]
    assert client.flush(10)
    assert ingest.event_ids == [ids] * 4
    [refused] = told
    assert isinstance(refused, DeliveryRefused)
    assert refused.status == status


def test_what_there_is_no_room_for_is_dropped_counted_told_and_reported(
    ingest: ScriptedIngest, make_client: MakesClients, told: list[AnalyticsError]
) -> None:
    client = make_client(max_queue=2)
    ingest.script = in_turn(saying(503), accept_all)
    kept = [xp(client) for _ in range(5)][:2]
    assert client.flush(10)
    assert ingest.event_ids == [kept, kept]
    assert client.stats().dropped == 3
    [dropped] = told  # one report covers all drops of a period
    assert isinstance(dropped, EventsDropped)
    assert dropped.reason == "queue_full"
    xp(client)
    assert client.flush(10)
    assert [headers.get("x-analytics-dropped") for headers in lowered(ingest)] == ["3", "3", None]


def test_every_event_has_one_place_in_the_books(ingest: ScriptedIngest, make_client: MakesClients) -> None:
    def before_send(event: dict[str, Any]) -> dict[str, Any] | None:
        return event if event["properties"]["xp_amount"] else None

    ingest.script = lambda events: verdicts(["rejected"] + ["accepted"] * (len(events) - 1))
    client = make_client(max_queue=4, before_send=before_send)
    for amount in (-1, 0, 1, 2, 3, 4, 5):
        xp(client, amount)
    assert client.flush(10)
    counted = Counter(client.stats().__dict__)
    assert counted == Counter(tracked=7, invalid=1, filtered=1, dropped=1, rejected=1, accepted=3)


def test_before_send_may_change_an_event_and_what_it_makes_is_judged(
    ingest: ScriptedIngest, make_client: MakesClients, told: list[AnalyticsError]
) -> None:
    def before_send(event: dict[str, Any]) -> dict[str, Any]:
        return event | {"properties": {"xp_amount": event["properties"]["xp_amount"] * 2}}

    client = make_client(before_send=before_send)
    xp(client, 5)
    xp(client, 10**9)
    assert client.flush(10)
    assert [event["properties"] for event in ingest.requests[0]] == [{"xp_amount": 10}]
    assert isinstance(told[0], InvalidEvent)


def test_a_wrong_call_raises_only_where_that_is_wanted(
    client: Client, make_client: MakesClients, told: list[AnalyticsError]
) -> None:
    assert xp(client, -1)
    assert (client.stats().invalid, len(told)) == (1, 1)
    with pytest.raises(InvalidEvent):
        xp(make_client(strict=True), -1)


@pytest.mark.parametrize("user_id", [b"x", True, 3.5])
def test_an_id_of_a_wrong_type_is_told_and_raised_like_any_wrong_call(
    ingest: ScriptedIngest, make_client: MakesClients, told: list[AnalyticsError], user_id: Any
) -> None:
    client, strict = make_client(), make_client(strict=True)
    assert client.track("xp_earned", user_id=user_id, properties={"xp_amount": 1})
    with pytest.raises(InvalidEvent, match="/user_id"):
        strict.track("xp_earned", user_id=user_id, properties={"xp_amount": 1})
    assert [str(error) for error in told] == [
        "xp_earned is not valid at /user_id: invalid_type: an id is str, int or UUID"
    ] * 2
    assert client.flush(10)
    assert (client.stats().tracked, client.stats().invalid, ingest.requests) == (1, 1, [])


def test_disabled_sends_nothing_and_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANALYTICS_INGEST_URL", raising=False)
    client = Client(disabled=True)
    assert xp(client, -1)
    assert client.flush(HOUR)
    assert client.shutdown(HOUR)
    assert client.stats().tracked == 0


def test_address_and_key_come_from_the_environment(ingest: ScriptedIngest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_INGEST_URL", ingest.url + "/")
    monkeypatch.setenv("ANALYTICS_WRITE_KEY", "of-the-environment")
    client = Client()
    xp(client)
    assert client.shutdown(10)
    assert lowered(ingest)[0]["authorization"] == "Bearer of-the-environment"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"write_key": "k"}, "ANALYTICS_INGEST_URL"),
        ({"url": "http://h"}, "ANALYTICS_WRITE_KEY"),
        ({"url": "ftp://h", "write_key": "k"}, "url"),
        ({"url": "http://", "write_key": "k"}, "url"),
        ({"url": "http://h", "write_key": "k\n"}, "write_key"),
        ({"url": "http://h", "write_key": b"k"}, "write_key"),
        ({"url": b"http://h", "write_key": "k"}, "url"),
        ({"url": "https://h", "write_key": "k", "ca_file": "/nowhere"}, "ca_file"),
    ],
)
def test_what_is_missing_or_wrong_is_named_at_once(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        Client(**wrong)


def test_shutdown_sends_what_is_left_and_takes_nothing_more(
    ingest: ScriptedIngest, client: Client, told: list[AnalyticsError]
) -> None:
    event_id = xp(client)
    assert client.shutdown(10)
    assert client.shutdown(10)
    xp(client)
    assert ingest.event_ids == [[event_id]]
    [dropped] = told
    assert isinstance(dropped, EventsDropped)
    assert dropped.reason == "closed"


def test_what_cannot_be_sent_in_time_is_counted_and_told(
    ingest: ScriptedIngest, client: Client, told: list[AnalyticsError]
) -> None:
    ingest.script = saying(503, retry_after="3600")
    xp(client)
    xp(client)
    assert not client.shutdown(HOUR)  # nothing could be sent before its end, so it does not wait for it
    assert client.stats().dropped == 2
    [dropped] = told
    assert isinstance(dropped, EventsDropped)
    assert (dropped.count, dropped.reason) == (2, "not_sent_in_time")
    assert not client.flush(HOUR)


def test_events_of_many_threads_all_arrive_once(ingest: ScriptedIngest, make_client: MakesClients) -> None:
    client = make_client(flush_at=50)
    ids: list[str] = []
    threads = [threading.Thread(target=lambda: ids.extend(xp(client) for _ in range(100))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(30)
    assert sorted(each for request in ingest.event_ids for each in request) == sorted(ids)

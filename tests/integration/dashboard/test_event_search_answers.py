"""`GET /api/analytics/events`: results, pages and refusals."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from dashboard.services import Services
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from storage.answers.event_search import EventArchive, EventSearch, position_of
from tests.support.access import EVENTS_KEY
from tests.support.archive import archive
from tests.support.events import event, uuid7
from tests.support.reading import ANNA, MINUTE, NOW, OVERVIEW, READER, answer, bearer, client_of, refusal
from tests.support.waiting import eventually

EVENTS = "/api/analytics/events"
OPERATOR = bearer(EVENTS_KEY)
SESSION = UUID(int=7)
REAL_NOW = datetime.now(UTC)


def happened(number: int, *, ago: timedelta, kind: str = "xp_earned", **changes: Any) -> AcceptedEvent:
    # ids of the present, for which a partition exists
    facts: dict[str, Any] = {
        "event_id": uuid7(REAL_NOW, number),
        "occurred_at": NOW - ago,
        "session_id": SESSION,
    } | changes
    return event(kind, {"xp_amount": number}, **facts)


async def found(client: httpx.AsyncClient, **asked: Any) -> list[int]:
    page = await answer(client, EVENTS, OPERATOR, **asked)
    return [one["properties"]["xp_amount"] for one in page["events"]]


async def test_a_session_is_found_by_whatever_services_call_it(
    client: httpx.AsyncClient, database: asyncpg.Connection, settings: Settings
) -> None:
    named = settings.pseudonymizer().session("1763942400")
    await archive(database, [happened(1, ago=MINUTE), happened(2, ago=2 * MINUTE, session_id=named)])
    for form in (str(SESSION), SESSION.hex, str(SESSION).upper(), SESSION.urn):
        assert await found(client, session_id=form) == [1]
    assert await found(client, session_id="1763942400") == [2]
    assert await found(client, session_id=str(named)) == [2]
    assert await found(client, session_id="1763942401") == []


@pytest.mark.parametrize("offset", ["+23:59", "-12:30", "+14:01"])
async def test_a_window_has_no_offset_that_no_place_has(client: httpx.AsyncClient, offset: str) -> None:
    asked = {"since": f"2026-11-17T12:00:00{offset}"}
    problem = await refusal(client, 422, EVENTS, OPERATOR, **asked)
    assert [one["parameter"] for one in problem["errors"]] == ["since"]


async def test_an_event_is_told_as_it_is_stored(
    client: httpx.AsyncClient, database: asyncpg.Connection, anna: bytes
) -> None:
    one = happened(1, ago=MINUTE, user_hash=anna, received_at=NOW, activity_date=NOW.date())
    nobody = happened(2, ago=2 * MINUTE, kind="api_error", user_hash=None, session_id=None)
    await archive(database, [one, nobody])
    page = await answer(client, EVENTS, OPERATOR)
    assert page["meta"] == {
        "consistent_through": None,
        "generated_at": "2026-11-18T12:34:56Z",
        "from": "2026-11-17T12:34:56Z",
        "to": "2026-11-18T12:34:56Z",
    }
    assert page["next_cursor"] is None
    first, second = page["events"]
    assert first == {
        "event_id": str(one.event_id),
        "event_type": "xp_earned",
        "user_hash": anna.hex(),
        "session_id": str(SESSION),
        "occurred_at": "2026-11-18T12:33:56Z",
        "received_at": "2026-11-18T12:34:56Z",
        "activity_date": "2026-11-18",
        "schema_version": 1,
        "source": "tests",
        "properties": {"xp_amount": 1},
    }
    assert (second["event_type"], second["user_hash"], second["session_id"]) == ("api_error", None, None)


async def test_a_search_is_for_what_it_says(
    client: httpx.AsyncClient, database: asyncpg.Connection, anna: bytes
) -> None:
    await archive(
        database,
        [
            happened(0, ago=timedelta(0)),
            happened(1, ago=MINUTE, user_hash=anna),
            happened(2, ago=2 * MINUTE, kind="level_up"),
            happened(3, ago=3 * MINUTE, kind="streak_update", session_id=None),
            happened(4, ago=timedelta(hours=24), user_hash=anna),
            happened(5, ago=timedelta(hours=25), user_hash=anna),
        ],
    )
    assert await found(client) == [1, 2, 3, 4]
    assert await found(client, type="level_up") == [2]
    assert await found(client, type="level_up,streak_update") == [2, 3]
    reply = await client.get(f"{EVENTS}?type=level_up&type=streak_update", headers=OPERATOR)
    assert len(reply.json()["events"]) == 2
    assert await found(client, user_id="anna") == [1, 4]
    assert await found(client, user_id="nobody") == []
    assert await found(client, session_id=str(SESSION)) == [1, 2, 4]
    assert await found(client, since="2026-11-17T12:34:56+01:00", user_id="anna") == [1, 4, 5]
    assert await found(client, until=(NOW - MINUTE).isoformat()) == [2, 3, 4]
    assert await found(client, since=(NOW - 2 * MINUTE).isoformat(), until=NOW.isoformat()) == [1, 2]
    assert await found(client, until="2026-11-18T12:34:56.000001Z") == [0, 1, 2, 3]


async def test_a_learner_is_found_under_every_name(services: Services, database: asyncpg.Connection) -> None:
    pseudonymizer = type(services.authenticator.pseudonymizer)({1: b"1" * 32, 2: b"2" * 32})
    names = pseudonymizer.all_pseudonyms("anna")
    await archive(
        database, [happened(number, ago=number * MINUTE, user_hash=names[number % 2]) for number in range(1, 6)]
    )
    authenticator = dataclasses.replace(services.authenticator, pseudonymizer=pseudonymizer)
    async with client_of(dataclasses.replace(services, authenticator=authenticator)) as client:
        assert await found(client, user_id="anna", limit=4) == [1, 2, 3, 4]


@pytest.mark.parametrize("asked", [{}, {"user_id": "anna"}, {"type": "xp_earned", "since": "2026-11-18T00:00:00Z"}])
async def test_pages_hold_each_event_once_while_time_goes_on_and_events_come_in(
    services: Services, database: asyncpg.Connection, anna: bytes, asked: dict[str, Any]
) -> None:
    early = [happened(number, ago=MINUTE * (1 + number // 3), user_hash=anna) for number in range(50)]
    await archive(database, early)
    later = 0
    seen: list[str] = []
    cursor: dict[str, str] = {}
    async with client_of(dataclasses.replace(services, clock=lambda: NOW + later * MINUTE)) as client:
        while True:
            page = await answer(client, EVENTS, OPERATOR, limit=7, **asked, **cursor)
            seen += [one["event_id"] for one in page["events"]]
            assert page["meta"]["to"] == "2026-11-18T12:34:56Z"
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
            later += 1
            newest = happened(1_000 + later, ago=-later * MINUTE, user_hash=anna)
            oldest = happened(2_000 + later, ago=timedelta(hours=11) + later * MINUTE, user_hash=anna)
            await archive(database, [newest, oldest])
    assert len(seen) == len(set(seen))
    assert seen[:50] == [str(one.event_id) for one in sorted(early, key=position_of, reverse=True)]
    # late events with earlier times are included; events newer than the search are not
    assert len(seen) == 50 + later


async def test_a_page_that_is_just_full_is_the_last(client: httpx.AsyncClient, database: asyncpg.Connection) -> None:
    await archive(database, [happened(number, ago=number * MINUTE) for number in range(1, 5)])
    assert (await answer(client, EVENTS, OPERATOR, limit=4))["next_cursor"] is None
    assert (await answer(client, EVENTS, OPERATOR, limit=3))["next_cursor"] is not None


WRONG: list[tuple[str, str]] = [
    *(("type", value) for value in ("", "nothing", "xp_earned,", "xp_earned,nothing", "XP_EARNED")),
    *(("user_id", value) for value in ("", "x" * 513, "a\x00b")),
    *(("session_id", value) for value in ("", "x" * 129, "a\nb")),
    *(
        (name, value)
        for name in ("since", "until")
        for value in ("", "yesterday", "2026-11-18", "2026-11-18T12:00:00", "1790000000", "0001-01-01T00:00:00+14:00")
    ),
    ("since", NOW.isoformat()),
    ("until", "9999-12-31T23:59:59-14:00"),
    *(("limit", value) for value in ("0", "501", "x")),
    *(("cursor", value) for value in ("", "x", "f" * 64, "A" * 64, "é", "x" * 129)),
    ("days", "3"),
]


async def test_a_parameter_that_is_wrong_is_named(client: httpx.AsyncClient) -> None:
    for parameter, value in WRONG:
        problem = await refusal(client, 422, EVENTS, OPERATOR, **{parameter: value})
        assert {error["parameter"] for error in problem["errors"]} == {parameter}, (parameter, value)
        if len(value) > 3 and parameter != "type":
            assert value not in str(problem)


async def test_a_cursor_opens_its_own_search_only(
    client: httpx.AsyncClient, database: asyncpg.Connection, anna: bytes
) -> None:
    await archive(database, [happened(number, ago=number * MINUTE, user_hash=anna) for number in range(1, 6)])
    cursor = (await answer(client, EVENTS, OPERATOR, limit=2, user_id="anna"))["next_cursor"]
    assert await found(client, limit=9, user_id="anna", cursor=cursor) == [3, 4, 5]
    assert await found(client, user_id="anna", cursor=cursor, since="2026-11-17T12:34:56Z") == [3, 4, 5]
    for other in (
        {},
        {"user_id": "ben"},
        {"user_id": "anna", "type": "xp_earned"},
        {"user_id": "anna", "since": "2026-11-17T12:34:57Z"},
        {"user_id": "anna", "session_id": str(SESSION)},
    ):
        problem = await refusal(client, 422, EVENTS, OPERATOR, cursor=cursor, **other)
        assert [(error["parameter"], error["code"]) for error in problem["errors"]] == [("cursor", "foreign_cursor")]


async def test_events_are_for_keys_with_the_scope(client: httpx.AsyncClient) -> None:
    for headers, status in ((ANNA, 403), (READER, 403), ({}, 401)):
        await refusal(client, status, EVENTS, headers, user_id="anna")


async def test_freshness_is_taken_before_the_database_is_read(services: Services) -> None:
    early = NOW - MINUTE

    class Watched(EventArchive):
        """An archive during whose read the freshness changes."""

        def __init__(self) -> None: ...

        async def page(self, *_: Any) -> list[AcceptedEvent]:
            services.freshness.consistent_through = NOW
            return []

    async with client_of(dataclasses.replace(services, archive=Watched())) as client:
        services.freshness.consistent_through = early
        told = (await answer(client, EVENTS, OPERATOR))["meta"]["consistent_through"]
        assert datetime.fromisoformat(told) == early


async def test_the_newest_events_are_searched_for_once_for_all_who_may_see_them_and_each_is_on_record(
    services: Services, database: asyncpg.Connection
) -> None:
    searched: list[EventSearch] = []

    class Watched(EventArchive):
        """An archive that counts its reads."""

        def __init__(self) -> None: ...

        async def page(self, search: EventSearch, *_: Any) -> list[AcceptedEvent]:
            searched.append(search)
            return []

    async with client_of(dataclasses.replace(services, archive=Watched())) as client:
        pages = await asyncio.gather(*(answer(client, EVENTS, OPERATOR) for _ in range(20)))
        assert pages == [pages[0]] * 20
        await refusal(client, 403, EVENTS, READER)
        assert len(searched) == 1
        for own in ({"user_id": "anna"}, {"session_id": str(SESSION)}):
            await asyncio.gather(*(answer(client, EVENTS, OPERATOR, **own) for _ in range(2)))
        assert len(searched) == 5
    spans = await database.fetch("SELECT span->>'until' AS until, count(*) FROM audit_log GROUP BY 1 ORDER BY 2")
    assert [tuple(row) for row in spans] == [(None, 1), (NOW.isoformat(), 24)]


async def test_searches_that_are_too_wide_say_so_and_keep_no_other_answer_waiting(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    await archive(database, [happened(1, ago=MINUTE)])
    await database.execute(
        "ALTER TABLE analytics_events RENAME TO hidden; CREATE VIEW analytics_events AS"
        " SELECT hidden.* FROM hidden, LATERAL (SELECT pg_sleep(600 + 0 * schema_version)) AS slow"
    )
    # four requests for two different pages: each page is searched once
    searching = asyncio.gather(*(refusal(client, 503, EVENTS, OPERATOR, limit=1 + number % 2) for number in range(4)))
    searches = "FROM pg_stat_activity WHERE application_name = 'studyin-dashboard-search' AND state = 'active'"

    async def are_under_way() -> bool:
        return bool(await database.fetchval(f"SELECT count(*) = 2 {searches}"))

    await eventually(are_under_way)
    assert (await answer(client, OVERVIEW))["total_xp"] == 0
    # as the statement timeout would do later
    await database.execute(f"SELECT pg_cancel_backend(pid) {searches}")
    for problem in await searching:
        assert problem["code"] == "search_too_wide"
        assert "narrow `since` and `until`" in problem["detail"]


async def test_a_search_is_on_record_with_its_window_on_every_page(
    client: httpx.AsyncClient, database: asyncpg.Connection, anna: bytes
) -> None:
    await archive(database, [happened(number, ago=number * MINUTE, user_hash=anna) for number in range(1, 4)])
    asked: dict[str, Any] = {"type": "xp_earned", "session_id": str(SESSION), "user_id": "anna", "limit": 2}
    cursor = (await answer(client, EVENTS, OPERATOR, **asked))["next_cursor"]
    await answer(client, EVENTS, OPERATOR, cursor=cursor, **asked)
    await refusal(client, 422, EVENTS, OPERATOR, since="nonsense")
    rows = await database.fetch("SELECT action, subject, span, outcome FROM audit_log ORDER BY entry_id")
    span = {
        "limit": "2",
        "type": "xp_earned",
        "since": "2026-11-17T12:34:56+00:00",
        "until": "2026-11-18T12:34:56+00:00",
    }
    assert [(row["action"], row["subject"], row["outcome"]) for row in rows] == [
        (f"GET {EVENTS}", anna, "200"),
        (f"GET {EVENTS}", anna, "200"),
        (f"GET {EVENTS}", None, "422"),
    ]
    assert [row["span"] and json.loads(row["span"]) for row in rows] == [span, span, None]

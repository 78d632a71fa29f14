"""Repeated parameters and time zones that depend on the machine are refused."""

from __future__ import annotations

import httpx
import pytest

from dashboard.questions.parameters import zone
from tests.support.access import ADMIN_KEY, EVENTS_KEY
from tests.support.reading import ANNA, OF_LEARNERS, OVERVIEW, READER, SYSTEM, answer, bearer, refusal

EVENTS, LIVE = "/api/analytics/events", "/api/analytics/live/sse"
OPERATOR = bearer(EVENTS_KEY)

TWICE = [
    *(
        (path, READER, f"user_id=anna&days=1&{pair}", name)
        for path in OF_LEARNERS
        for pair, name in (
            ("days=30", "days"),
            ("days=1", "days"),
            ("user_id=ben", "user_id"),
            ("tz=UTC&tz=UTC", "tz"),
            ("%64ays=2", "days"),
        )
    ),
    (OVERVIEW, ANNA, "user_id=anna&user_id=anna", "user_id"),
    (SYSTEM, READER, "hours=1&hours=2", "hours"),
    (EVENTS, OPERATOR, "type=xp_earned&type=level_up&limit=1&limit=2", "limit"),
    (EVENTS, OPERATOR, "since=2026-11-01T00:00:00Z&since=2026-11-02T00:00:00Z", "since"),
    (LIVE, OPERATOR, "last_id=1&last_id=2", "last_id"),
]


@pytest.mark.parametrize(("path", "caller", "query", "name"), TWICE)
async def test_a_parameter_that_is_given_twice_is_refused_by_name(
    client: httpx.AsyncClient, path: str, caller: dict[str, str], query: str, name: str
) -> None:
    reply = await client.get(f"{path}?{query}", headers=caller)
    assert reply.status_code == 422, reply.text
    problem = reply.json()
    assert problem["code"] == "invalid_parameters"
    assert [(fault["code"], fault["parameter"]) for fault in problem["errors"]] == [("repeated_parameter", name)]


async def test_types_of_events_may_be_given_one_by_one(client: httpx.AsyncClient) -> None:
    reply = await client.get(f"{EVENTS}?type=xp_earned&type=level_up", headers=OPERATOR)
    assert reply.status_code == 200


async def test_of_many_unknown_types_the_first_is_named(client: httpx.AsyncClient) -> None:
    problem = await refusal(client, 422, EVENTS, OPERATOR, type=",".join(["level_up", *["a"] * 4_000]))
    assert [fault["parameter"] for fault in problem["errors"]] == ["type"]


@pytest.mark.parametrize("path", ["users/ada/export", "jobs/019a1b2c-3d4e-7f60-8abc-0123456789ab"])
async def test_a_privacy_path_takes_no_unlisted_parameter(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(f"/api/analytics/privacy/{path}?user=zed", headers=bearer(ADMIN_KEY))
    assert reply.status_code == 422, reply.text
    assert [fault["parameter"] for fault in reply.json()["errors"]] == ["user"]


async def test_an_unauthenticated_caller_gets_no_parameter_errors(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{OVERVIEW}?days=1&days=2")).status_code == 401


@pytest.mark.parametrize(
    "name", ["localtime", "Factory", "posixrules", "posix/UTC", "right/UTC", "Etc/Unknown", "Local", "PST", "tzdata.zi"]
)
async def test_a_zone_that_depends_on_the_machine_is_refused(client: httpx.AsyncClient, name: str) -> None:
    problem = await refusal(client, 422, OVERVIEW, tz=name)
    assert [(fault["code"], fault["parameter"]) for fault in problem["errors"]] == [("unknown_time_zone", "tz")]


@pytest.mark.parametrize(
    "name",
    ["UTC", "GMT", "Etc/UTC", "Etc/GMT+5", "EST5EDT", "Asia/Calcutta", "Asia/Kolkata", "Europe/Kiev", "Europe/Kyiv"],
)
async def test_a_zone_under_an_old_or_a_new_name_is_known(client: httpx.AsyncClient, name: str) -> None:
    assert (await answer(client, OVERVIEW, tz=name))["meta"]["timezone"] == name


def test_zones_come_from_the_package_and_not_from_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoneinfo._tzpath.find_tzfile", lambda _name: pytest.fail("the machine was asked"))
    zone.cache_clear()
    assert str(zone("Europe/Rome")) == "Europe/Rome"


NO_NUMBERS = ["1_0", "%201", "1%20", "1.0", "%2B1", "+1", "1e1", "0x1", "\u0661", "\uff11", "", "true", "--1", "1%00"]


async def test_a_number_is_decimal_digits(client: httpx.AsyncClient) -> None:
    for path, caller, name in ((OVERVIEW, ANNA, "days"), (SYSTEM, READER, "hours"), (EVENTS, OPERATOR, "limit")):
        for text in NO_NUMBERS:
            reply = await client.get(f"{path}?{name}={text}", headers=caller)
            assert reply.status_code == 422, (path, text)
            assert [(one["code"], one["parameter"]) for one in reply.json()["errors"]] == [("int_parsing", name)], text
        for text, code in (("0", "greater_than_equal"), ("-1", "greater_than_equal"), ("9" * 30, "less_than_equal")):
            [fault] = (await client.get(f"{path}?{name}={text}", headers=caller)).json()["errors"]
            assert fault["code"] == code
        assert (await client.get(f"{path}?{name}=7", headers=caller)).status_code == 200

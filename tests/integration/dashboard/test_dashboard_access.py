"""Access to the read service: credentials, scopes and parameters."""

from __future__ import annotations

import httpx
import jwt

from tests.support.access import ADMIN_KEY, JWT_SECRET, READ_KEY, WRITE_KEY
from tests.support.reading import (
    ANNA,
    HEATMAP,
    OF_LEARNERS,
    OVERVIEW,
    READER,
    SYSTEM,
    answer,
    bearer,
    refusal,
)

# Credentials and scopes.

ANY: dict[str, str] = {}
ONE = {"user_id": "anna"}
CREDENTIALS: dict[str, tuple[dict[str, str], dict[str, str], int, int]] = {
    # headers, parameters, status about a learner, status about the platform
    "nothing": ({}, ONE, 401, 401),
    "no bearer": ({"Authorization": f"Basic {READ_KEY}"}, ONE, 401, 401),
    "unknown key": (bearer("no-such-key"), ONE, 401, 401),
    "forged token": (bearer(jwt.encode({"sub": "anna", "exp": 9999999999}, "f" * 32)), ONE, 401, 401),
    "expired token": (bearer(jwt.encode({"sub": "anna", "exp": 1}, JWT_SECRET)), ONE, 401, 401),
    "token": (ANNA, ANY, 200, 403),
    "token naming its learner": (ANNA, ONE, 200, 403),
    "token naming another": (ANNA, {"user_id": "ben"}, 403, 403),
    "read key": (READER, ONE, 200, 200),
    "read key as X-API-Key": ({"X-API-Key": READ_KEY}, ONE, 200, 200),
    "read key naming nobody": (READER, ANY, 422, 200),
    "write key": (bearer(WRITE_KEY), ONE, 403, 403),
    "write key naming nobody": (bearer(WRITE_KEY), ANY, 403, 403),
    "admin key without the scopes": (bearer(ADMIN_KEY), ONE, 403, 403),
}


async def test_each_credential_opens_what_it_should(client: httpx.AsyncClient) -> None:
    expected, found = {}, {}
    for credential, (headers, parameters, about_learner, about_platform) in CREDENTIALS.items():
        for path in (*OF_LEARNERS, SYSTEM):
            reply = await client.get(path, headers=headers, params={} if path == SYSTEM else parameters)
            found[credential, path] = reply.status_code
            expected[credential, path] = about_platform if path == SYSTEM else about_learner
            assert ("WWW-Authenticate" in reply.headers) == (reply.status_code == 401 or "missing_scope" in reply.text)
            assert "anna" not in reply.text
            assert "ben" not in reply.text
    assert found == expected


async def test_unauthorized_callers_get_no_parameter_errors(client: httpx.AsyncClient) -> None:
    for path in (*OF_LEARNERS, SYSTEM):
        await refusal(client, 401, path, {}, days="x", hours="x", nonsense="x")


# Parameters.


WRONG: list[tuple[str, str, str]] = [
    *((path, "days", value) for path in OF_LEARNERS for value in ("0", "-1", "3651", "x", "", "1.5", "9" * 5000)),
    *((path, "tz", value) for path in OF_LEARNERS for value in ("", "Mars/Base", "utc", "../UTC", "/etc/passwd")),
    (OVERVIEW, "tz", "America"),
    (OVERVIEW, "tz", "UTC\x00"),
    (OVERVIEW, "user_id", ""),
    (OVERVIEW, "user_id", "x" * 513),
    (OVERVIEW, "user_id", "a\x00b"),
    (OVERVIEW, "hours", "1"),
    *((SYSTEM, "hours", value) for value in ("0", "721", "x")),
    *((SYSTEM, "limit", value) for value in ("0", "101", "x")),
    (SYSTEM, "user_id", "anna"),
    (SYSTEM, "tz", "UTC"),
]


async def test_a_parameter_that_is_wrong_is_named(client: httpx.AsyncClient) -> None:
    for path, parameter, value in WRONG:
        known = {"user_id": "anna"} if path in OF_LEARNERS else {}
        problem = await refusal(client, 422, path, READER, **{**known, parameter: value})
        assert [error["parameter"] for error in problem["errors"]] == [parameter]
        if len(value) > 3:
            assert value not in str(problem)


async def test_a_parameter_whose_name_could_be_personal_is_not_named(client: httpx.AsyncClient) -> None:
    for name in ("4111111111111111", "AB123456C", "ada@example.com"):
        problem = await refusal(client, 422, OVERVIEW, READER, **{"user_id": "anna", name: "1"})
        assert [error["parameter"] for error in problem["errors"]] == ["?"]
        assert name not in str(problem)


async def test_the_widest_windows_are_answered(client: httpx.AsyncClient) -> None:
    assert len((await answer(client, HEATMAP, days=3650))["days"]) == 3650
    assert len((await answer(client, SYSTEM, READER, hours=720))["series"]) == 721


async def test_an_unknown_path_is_a_problem_document(client: httpx.AsyncClient) -> None:
    assert (await refusal(client, 404, "/api/analytics/nothing"))["code"] == "not_found"
    reply = await client.post(OVERVIEW, headers=ANNA)
    assert (reply.status_code, reply.json()["code"]) == (405, "method_not_allowed")
    assert reply.headers["Allow"] == "GET"

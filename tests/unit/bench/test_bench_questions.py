from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from bench.questions import Questions, of_dashboards
from dashboard.openapi import openapi

NOW = datetime(2026, 8, 3, 12, tzinfo=UTC)


def test_a_question_is_a_request_without_a_body() -> None:
    assert Questions(["/a", "/b"]).encoded("host:1", "key") == [
        b"GET /a HTTP/1.1\r\nhost: host:1\r\nauthorization: Bearer key\r\n\r\n",
        b"GET /b HTTP/1.1\r\nhost: host:1\r\nauthorization: Bearer key\r\n\r\n",
    ]


def test_every_endpoint_that_only_reads_is_asked() -> None:
    asked = {urlsplit(path).path for questions in of_dashboards(["ada"], NOW).values() for path in questions.paths}

    paths = openapi()["paths"]
    # a stream of live events has no end, and the rights of learners are no dashboard's
    reading = {path for path, ways in paths.items() if "get" in ways and "live" not in path and "privacy" not in path}
    assert asked == {path for path in reading if path.startswith("/api/")}


def test_each_learner_is_asked_about_once_in_a_turn() -> None:
    learners = [f"demo-user-{number}" for number in range(50)]

    overviews = of_dashboards(learners, NOW)["overview"].paths

    asked = [parse_qs(urlsplit(path).query)["user_id"][0] for path in overviews]
    assert sorted(asked) == sorted(learners)
    assert asked != learners

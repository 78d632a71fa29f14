"""Cases that cannot be run are errors, and requests are sent byte for byte as the case describes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runtime.settings import Settings
from tests.cases.case import Case, at_moment, read_cases
from tests.cases.decisions import expected_result
from tests.cases.playing import run_case
from tests.cases.stage import Stage
from tests.cases.wire import NotExecutable, request_bytes
from tests.support.assembled import Assembled

NOW = datetime(2026, 11, 28, 23, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("$NOWZ", "2026-11-28T23:30:15Z"),
        ("$NOW+0000", "2026-11-28T23:30:15+0000"),
        ("$NOW-08:00", "2026-11-28T15:30:15-08:00"),
        ("$NOW+23:59", "2026-11-29T23:29:15+23:59"),
        ("$NOW.123456789Z", "2026-11-28T23:30:15.123456789Z"),
        ("$NOW_PLUS_1H.500Z", "2026-11-29T00:30:15.500Z"),
        ("the present moment, written in +13:00 (after 11:00 UTC)", "2026-11-29T12:30:15+13:00"),
    ],
)
def test_now_is_written_in_the_offset_that_follows(template: str, written: str) -> None:
    assert at_moment({"json": [template]}, NOW) == {"json": [written]}


def test_headers_and_query_are_sent_unchanged() -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "h2c", "Transfer-Encoding": "chunked"}
    sent = request_bytes({"method": "POST", "path": "/x?days=1&days=2", "headers": headers, "raw": "abcd"}, "host")
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /x?days=1&days=2 HTTP/1.1\r\n")
    assert b"\r\nUpgrade: h2c\r\n" in head
    assert b"Content-Length" not in head
    assert body == b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"


async def test_a_case_without_requests_and_script_fails(tmp_path: Path) -> None:
    nowhere = Assembled(Settings(), "localhost:1", "localhost:1")
    case = Case("X-1", "some kind", {"command": "do something", "expected": {"exit_code": 0}})
    with pytest.raises(NotExecutable, match="has no script"):
        await run_case(case, Stage(nowhere, tmp_path))


def test_a_case_without_a_checkable_expectation_fails() -> None:
    with pytest.raises(NotExecutable, match="only a note"):
        expected_result(Case("X-2", "some kind", {"request": {}, "expected": {"note": "be good"}}))


def test_a_repeated_case_id_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "cases.json"
    case = {"id": "X-3", "kind": "some kind", "expected": {"status": 202}}
    file.write_text(json.dumps({"cases": [case, case]}))
    with pytest.raises(ValueError, match="repeats a case id"):
        read_cases(file)

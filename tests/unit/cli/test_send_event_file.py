"""Lines become batches: no line is lost or changed, and every batch is within the limits of a request."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.sending.event_file import BadLine, Batch, Line, build_body, find_line_digest
from cli.sending.event_file import parse_line as parse_line_by
from cli.sending.event_file import read_batches as read_batches_by
from cli.sending.event_lines import EventFileDamaged
from cli.sending.line_ids import ids_by_content
from schemas.limits import MAX_BODY_BYTES

HERE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def parse_line(number: int, text: bytes) -> Line | BadLine:
    return parse_line_by(number, text, ids_by_content("input"))


def read_batches(file: Path, *, size: int, after_line: int = 0) -> Iterator[Batch]:
    return read_batches_by(file, ids_by_content("input"), size=size, after_line=after_line)


def good(line: Line | BadLine) -> dict[str, Any]:
    assert isinstance(line, Line)
    event: dict[str, Any] = json.loads(line.event)
    return event


def events(batches: list[Batch]) -> list[dict[str, Any]]:
    return [good(line) for batch in batches for line in batch.lines]


def keep(batches: Iterator[Batch], found: list[Batch]) -> None:
    for batch in batches:
        found.append(batch)


def test_an_event_with_an_id_is_sent_word_for_word() -> None:
    text = '{"event_id": "a",  "n": 1.10, "s": "\\u00e9é"}'.encode()
    assert parse_line(3, text) == Line(3, text)


@pytest.mark.parametrize("text", [b'{"a": 1.10}', b"{}", b"{ }", b'{"event_id":null,"a":1}', '{"a":"é"}'.encode()])
def test_an_event_without_an_id_gets_one_and_nothing_else_changes(text: bytes) -> None:
    event = good(parse_line(3, text))
    sent = json.loads(text)
    assert event.pop("event_id")
    sent.pop("event_id", None)
    assert event == sent


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"nonsense", "invalid_json"),
        (b'{"a":', "invalid_json"),
        (b'{"a":"\xff"}', "invalid_json"),
        (b"[" * 100_000, "too_deep"),
        (b"[1]", "not_an_object"),
        (b"7", "not_an_object"),
        (b'{"a":"' + b"x" * MAX_BODY_BYTES + b'"}', "event_too_large"),
    ],
    ids=["text", "cut", "bytes", "deep", "array", "number", "large"],
)
def test_a_line_that_no_request_can_carry_is_reported_with_its_code(text: bytes, code: str) -> None:
    line = parse_line(5, text)
    assert isinstance(line, BadLine)
    assert (line.number, line.code) == (5, code)
    assert len(line.text) <= 2_000


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_lines_are_numbered_as_in_the_file(tmp_path: Path, pack: Any) -> None:
    file = written(tmp_path / "f", pack(b'\xef\xbb\xbf{"event_id":"1"}\r\n\n  \noops\n{"event_id":"5"}'))
    [batch] = read_batches(file, size=10)
    assert [(line.number, good(line)["event_id"]) for line in batch.lines] == [(1, "1"), (5, "5")]
    assert [line.number for line in batch.bad_lines] == [4]
    assert (batch.read, batch.last_line) == (3, 5)


@HERE
@given(sizes=st.lists(st.integers(0, 60_000), max_size=60), size=st.integers(1, 20))
def test_batches_keep_every_line_and_both_limits(tmp_path: Path, sizes: list[int], size: int) -> None:
    lines = [json.dumps({"event_id": str(number), "x": "x" * extra}) for number, extra in enumerate(sizes)]
    batches = list(read_batches(written(tmp_path / "f", "\n".join(lines).encode()), size=size))
    assert [event["event_id"] for event in events(batches)] == [str(number) for number in range(len(sizes))]
    assert [batch.number for batch in batches] == list(range(len(batches)))
    assert all(0 < batch.read <= size for batch in batches)
    assert all(len(build_body([line.event for line in batch.lines])) <= MAX_BODY_BYTES for batch in batches)


def test_the_longest_line_there_is_fits_a_request(tmp_path: Path) -> None:
    for extra in range(MAX_BODY_BYTES - 300, MAX_BODY_BYTES, 7):
        line = parse_line(1, b'{"a":"' + b"x" * extra + b'"}')
        if isinstance(line, BadLine):
            break
        assert len(build_body([line.event])) <= MAX_BODY_BYTES
    else:
        pytest.fail("no line was too long")


def test_a_line_too_long_does_not_disturb_the_next(tmp_path: Path) -> None:
    file = written(tmp_path / "f", b'{"a":"' + b"x" * 3 * MAX_BODY_BYTES + b'"}\n{"event_id":"2"}\n')
    [batch] = read_batches(file, size=10)
    assert [line.code for line in batch.bad_lines] == ["event_too_large"]
    assert [line.number for line in batch.lines] == [2]


@HERE
@given(count=st.integers(0, 30), size=st.integers(1, 7), data=st.data())
def test_what_was_read_before_is_left_out(tmp_path: Path, count: int, size: int, data: st.DataObject) -> None:
    file = written(tmp_path / "f", "".join(f'{{"n":{number}}}\n' for number in range(count)).encode())
    before = list(read_batches(file, size=size))
    stop = data.draw(st.integers(0, len(before)))
    after_line = before[stop - 1].last_line if stop else 0
    assert events(before[:stop]) + events(list(read_batches(file, size=size, after_line=after_line))) == events(before)


def test_a_batch_names_its_last_line_so_that_the_file_is_known_again(tmp_path: Path) -> None:
    file = written(tmp_path / "f", b'{"n":1}\n{"n":2}\n{"n":3}\n')
    first, _ = read_batches(file, size=2)
    assert find_line_digest(file, first.last_line) == first.last_digest
    assert find_line_digest(file, 3) != first.last_digest
    assert find_line_digest(file, 4) is None


def test_all_before_the_damage_is_given(tmp_path: Path) -> None:
    lines = b"".join(b'{"event_id":"%d"}\n' % number for number in range(20_000))
    file = written(tmp_path / "f.gz", gzip.compress(lines)[:-2_000])
    found: list[Batch] = []
    with pytest.raises(EventFileDamaged, match="after line"):
        keep(read_batches(file, size=1_000), found)
    assert [int(event["event_id"]) for event in events(found)] == list(range(found[-1].last_line))
    assert found[-1].last_line > 1_000

"""The id of a line depends only on its input, its content, and the number of identical lines before it."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.sending.event_file import read_batches
from cli.sending.line_ids import default_input_name, id_by_number, ids_by_content
from ingest.privacy.detectors import find_personal
from schemas.identifiers import canonical_event_id

HERE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
LINES = st.lists(st.sampled_from(['{"n":1}', '{"n":2}', '{"n": 2}', '{"event_id":null,"n":1}', "oops"]), max_size=12)


def ids(file: Path, *, name: str | None = None, after_line: int = 0, size: int = 3) -> list[str]:
    rule = ids_by_content(name or default_input_name(file))
    batches = read_batches(file, rule, size=size, after_line=after_line)
    return [json.loads(line.event)["event_id"] for batch in batches for line in batch.lines]


def written(file: Path, lines: list[str]) -> Path:
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


@HERE
@given(lines=LINES, data=st.data())
def test_neither_order_nor_blank_lines_change_the_ids_of_an_input(
    tmp_path: Path, lines: list[str], data: st.DataObject
) -> None:
    before = ids(written(tmp_path / "f", lines))
    shuffled = [f" {line}\t" for line in data.draw(st.permutations(lines))]
    for _ in range(data.draw(st.integers(0, 3))):
        shuffled.insert(data.draw(st.integers(0, len(shuffled))), data.draw(st.sampled_from(["", "  ", "\r"])))
    after = ids(written(tmp_path / "f", shuffled))
    assert sorted(after) == sorted(before)
    assert len(set(before)) == len(before) == len([line for line in lines if line != "oops"])


@HERE
@given(lines=LINES, data=st.data())
def test_an_interruption_changes_no_id(tmp_path: Path, lines: list[str], data: st.DataObject) -> None:
    file = written(tmp_path / "f", lines)
    whole = ids(file)
    after_line = data.draw(st.integers(0, len(lines)))
    sent = len([line for line in lines[:after_line] if line != "oops"])
    assert ids(file, after_line=after_line, size=data.draw(st.integers(1, 5))) == whole[sent:]


@HERE
@given(lines=LINES, data=st.data())
def test_parts_of_an_input_are_inputs_of_their_own(tmp_path: Path, lines: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(lines)))
    whole = ids(written(tmp_path / "whole", lines))
    parts = ids(written(tmp_path / "a", lines[:at])) + ids(written(tmp_path / "b", lines[at:]))
    joined = ids(written(tmp_path / "joined", [*lines, *lines]))
    assert len({*whole, *parts, *joined}) == len(whole) + len(parts) + len(joined)
    # under one name, the beginning of an input and the complete input are the same input
    named = ids(tmp_path / "whole", name="n")
    assert ids(tmp_path / "a", name="n") == named[: len(ids(tmp_path / "a"))]
    assert ids(tmp_path / "joined", name="n")[: len(named)] == named


def test_a_line_that_lacks_an_id_counts_as_often_as_it_is_there(tmp_path: Path) -> None:
    file = written(tmp_path / "f", ['{"n":1}', '{"event_id":"own","n":1}', '{"n":1}', '{"n":1}'])
    found = ids(file)
    assert len(set(found)) == 4
    assert found[1] == "own"
    # one line fewer, wherever it was: the other lines keep their ids
    assert set(ids(written(file, ['{"n":1}', '{"n":1}']))) < set(found)


def test_a_file_is_known_by_its_path_and_a_link_by_what_it_leads_to(tmp_path: Path) -> None:
    file = written(tmp_path / "f", ['{"n":1}'])
    (tmp_path / "link").symlink_to(file)
    packed = tmp_path / "f.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert ids(tmp_path / "link") == ids(file)
    assert ids(packed) != ids(file)
    assert ids(packed, name=str(file)) == ids(file)
    assert ids(file) != ids(file, name="another")


def test_a_pipe_has_a_new_name_each_time(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert default_input_name(tmp_path / "pipe") != default_input_name(tmp_path / "pipe")
    assert default_input_name(Path("-")) != default_input_name(Path("-"))


def test_ingest_keeps_such_an_id_as_it_is_and_sees_nothing_personal_in_it() -> None:
    rule = ids_by_content("/data/\udcff.ndjson")
    for number in range(5_000):
        event_id = rule(1, b"%d" % number)
        assert str(canonical_event_id(event_id, "tests")) == event_id
        assert UUID(event_id).version == 8
        assert find_personal(event_id) is None


def test_ids_of_an_earlier_release_stay() -> None:
    assert id_by_number(1, b'{"a":1}') == "line-b0b31f6dc45f795e4e45a738c8b0baf4e79dd368c956cc413f2dbd13b0fcef21"

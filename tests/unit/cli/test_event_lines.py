"""Lines are read as `gzip -dc` reads them, from files and from pipes."""

from __future__ import annotations

import gzip
import os
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.sending.event_lines import EventFileDamaged, is_stream, open_input

HERE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
FIVE = b"".join(b'{"n":%d}\n' % number for number in range(5))
MANY = b"".join(b'{"n":%d}\n' % number for number in range(40_000))


def read(file: Path) -> tuple[list[bytes], bool]:
    with open_input(file) as source:
        return [line for _, line in source.lines()], source.has_garbage


def lines_of(content: bytes) -> list[bytes]:
    return content.split(b"\n")[:-1]


@pytest.mark.parametrize("content", [FIVE, MANY], ids=["small", "large"])
@pytest.mark.parametrize(
    ("behind", "is_garbage"),
    [
        (b"", False),
        (b"\r\n", True),
        (b"\n", True),
        (b"\0" * 5_000, False),
        (b"\0\0x", True),
        (b"\x1f", True),
        (b"garbage" * 100_000, True),
        (b"\x8b\x1f", True),
    ],
    ids=["nothing", "crlf", "newline", "zeros", "zeros and garbage", "half a magic", "much", "magic reversed"],
)
def test_what_stands_behind_the_compressed_lines_is_left_out(
    tmp_path: Path, content: bytes, behind: bytes, is_garbage: bool
) -> None:
    file = tmp_path / "f.gz"
    file.write_bytes(gzip.compress(content) + behind)
    assert read(file) == (lines_of(content), is_garbage)
    unpacked = subprocess.run(["gzip", "-dc", str(file)], capture_output=True, check=False)
    assert unpacked.stdout == content
    assert (unpacked.returncode != 0) == is_garbage


def test_members_follow_each_other_with_or_without_padding(tmp_path: Path) -> None:
    file = tmp_path / "f.gz"
    file.write_bytes(gzip.compress(FIVE) + gzip.compress(b"") + gzip.compress(MANY) + b"\0" * 512 + gzip.compress(FIVE))
    assert read(file) == (lines_of(FIVE + MANY + FIVE), False)


@pytest.mark.parametrize("content", [b"", gzip.compress(b""), b"\x1f"], ids=["empty", "empty gzip", "one byte"])
def test_an_input_may_be_next_to_nothing(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "f"
    file.write_bytes(content)
    assert read(file)[0] == ([b"\x1f"] if content == b"\x1f" else [])


def cut(content: bytes) -> bytes:
    return content[:-4]


def spoilt(content: bytes) -> bytes:
    return content[:-8] + b"\0\0\0\0" + content[-4:]


def second_cut(content: bytes) -> bytes:
    return content + content[:12]


def gather(file: Path, found: list[bytes]) -> None:
    with open_input(file) as source:
        for _, line in source.lines():
            found.append(line)


@pytest.mark.parametrize("spoil", [cut, spoilt, second_cut])
def test_a_damaged_input_gives_what_is_before_the_damage(tmp_path: Path, spoil: object) -> None:
    assert callable(spoil)
    file = tmp_path / "f.gz"
    file.write_bytes(spoil(gzip.compress(MANY)))
    found: list[bytes] = []
    with pytest.raises(EventFileDamaged, match="damaged after line"):
        gather(file, found)
    assert found == lines_of(MANY)[: len(found)]
    assert len(found) > 20_000


@HERE
@given(sizes=st.lists(st.integers(1, 400), min_size=1), pack=st.booleans())
def test_a_pipe_is_read_in_whatever_pieces_it_comes(tmp_path: Path, sizes: list[int], pack: bool) -> None:
    pipe = tmp_path / "pipe"
    if not pipe.exists():
        os.mkfifo(pipe)
    content = gzip.compress(FIVE) + b"\r\n" if pack else FIVE

    def write() -> None:
        with pipe.open("wb", buffering=0) as stream:
            at = 0
            for size in sizes:
                stream.write(content[at : at + size])
                at += size
            stream.write(content[at:])

    writer = threading.Thread(target=write)
    writer.start()
    assert read(pipe) == (lines_of(FIVE), pack)
    writer.join()


def test_only_files_can_be_read_twice(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert [is_stream(place) for place in (tmp_path / "file", tmp_path / "link", tmp_path / "pipe", Path("-"))] == [
        False,
        False,
        True,
        True,
    ]
    with pytest.raises(FileNotFoundError):
        is_stream(tmp_path / "nothing")

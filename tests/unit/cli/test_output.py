"""Output can be encoded for every terminal, and JSON stays the same JSON."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

TEXT = 'مرحبا 😀 é "quoted" \\ 日本語 \udcff'
SCRIPT = f"""
import json, sys
from cli.output_streams import safe_output
with safe_output():
    print(json.dumps({TEXT!a}, ensure_ascii=False))
    print({TEXT!a}, file=sys.stderr)
"""


def run(redirection: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = ["sh", "-c", f'exec "$0" -c "$1" {redirection}', sys.executable, SCRIPT]
    return subprocess.run(command, capture_output=True, check=False, env=environment)


LONG = "word " * 100
TABLE = f"""
from cli.output import Column, Row, Section, coloured, show, show_sections, show_table
columns, rows = [Column("name"), Column("text")], [Row(["a", {LONG!r} + "end"])]
show(coloured({LONG!r} + "end"))
show_table(columns, rows)
show_table(columns, rows, width=90)
show_sections([Section([{LONG!r} + "end"], columns, rows)])
"""


@pytest.mark.parametrize("environment", [{}, {"COLUMNS": "40"}, {"FORCE_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_pipe_gets_each_row_and_line_whole(environment: dict[str, str]) -> None:
    ended = subprocess.run([sys.executable, "-c", TABLE], capture_output=True, check=True, env=environment)
    whole = [line for line in ended.stdout.decode().splitlines() if LONG + "end" in line]
    assert len(whole) == 5
    assert len(ended.stdout.splitlines()) == 8


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "utf-8", "cp437", "utf-16", "ascii:strict"])
def test_every_encoding_takes_every_character(encoding: str) -> None:
    ended = run(PYTHONIOENCODING=encoding)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.decode(encoding.partition(":")[0])) == TEXT
    assert b"Traceback" not in ended.stderr
    assert "quoted" in ended.stderr.decode(encoding.partition(":")[0])


def test_the_c_locale_prints_every_character() -> None:
    ended = run(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (ended.returncode, json.loads(ended.stdout)) == (0, TEXT)


@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        (">/dev/full", 3),
        (">/dev/full 2>/dev/full", 3),
        ("2>/dev/full", 0),
        (">&-", 0),
        ("2>&-", 0),
        ("| true", 0),
    ],
)
def test_an_unwritable_output_causes_no_traceback(redirection: str, code: int) -> None:
    ended = run(redirection, PYTHONIOENCODING="utf-8")
    assert ended.returncode == code, ended.stderr
    assert b"Traceback" not in ended.stderr
    assert b"Exception ignored" not in ended.stderr


def test_a_reader_that_goes_away_ends_the_command_with_1() -> None:
    command = ["bash", "-c", f'"{sys.executable}" -m cli.main --help | true; exit ${{PIPESTATUS[0]}}']
    for _ in range(3):
        ended = subprocess.run(command, capture_output=True, check=False)
        # it may have written everything before
        assert ended.returncode in (0, 1)
        assert ended.stderr == b""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.memory import largest, peak_bytes, peaks_of_children, service_of


@pytest.mark.parametrize(
    ("arguments", "service"),
    [
        (["python", "-m", "cli.main", "ingest"], "ingest"),
        (["python", "-m", "cli.main", "worker", "--group", "store"], "worker"),
        (["python", "-m", "cli.main", "worker", "--group", "live"], "live worker"),
        (["python", "-m", "cli.main", "worker"], "worker"),
        (["valkey-server", "127.0.0.1:6379"], None),
        ([], None),
    ],
)
def test_a_process_is_told_by_its_command_line(arguments: list[str], service: str | None) -> None:
    assert service_of(arguments) == service


def test_the_largest_of_several_counts() -> None:
    assert largest([("worker", 2), ("ingest", 5), ("worker", 3), ("worker", 1)]) == {"worker": 3, "ingest": 5}


def test_the_peak_stays_when_memory_is_given_back() -> None:
    before = peak_bytes(os.getpid())

    block = bytes(range(256)) * (before // 256)
    del block

    assert peak_bytes(os.getpid()) > before


def test_children_that_are_not_ours_do_not_count() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid
        assert peaks_of_children(os.getpid()) == {}
        child.communicate(b"\n")


def test_a_process_that_ended_has_no_memory() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()

    with pytest.raises(RuntimeError, match=str(child.pid)):
        peak_bytes(child.pid)

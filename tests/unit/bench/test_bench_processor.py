"""What each part of a system took, with the processes it started."""

from __future__ import annotations

import os
import subprocess
import sys

from bench.processor import Process, by_part, seconds_of_children


def test_a_part_has_all_that_descends_from_it_and_parts_of_one_name_are_one() -> None:
    processes = {
        1: Process(0, "init", 9.0),
        10: Process(1, "up", 5.0),
        11: Process(10, "postgres", 1.0),
        12: Process(11, "backend", 2.0),
        13: Process(12, "backend", 0.5),
        14: Process(10, "worker", 1.5),
        15: Process(10, "worker", 0.25),
        16: Process(1, "another", 7.0),
    }
    assert by_part(processes, 10) == {"postgres": 3.5, "worker": 1.75}


def test_children_of_this_process_are_found() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = seconds_of_children(os.getpid())
        child.communicate(b"\n")
    assert any(name.startswith("python") for name in found)

"""What each part of a system took, with the processes it started."""

from __future__ import annotations

import os
import subprocess
import sys

from bench.processor import Process, by_part, descendants, running_processes, seconds_of_children


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


def test_descendants_are_those_of_any_generation() -> None:
    parents = {1: 0, 10: 1, 11: 10, 12: 11, 13: 1}
    processes = {pid: Process(parent, "any", 0.0) for pid, parent in parents.items()}

    assert descendants(processes, 10) == [11, 12]
    assert sorted(descendants(processes, 1)) == [10, 11, 12, 13]


def test_the_time_of_an_ended_process_counts_for_the_one_that_waited_for_it() -> None:
    busy = "import time\nwhile time.process_time() < 0.2: pass"
    starter = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}]); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", starter], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        seconds = running_processes()[child.pid].seconds
        child.communicate(b"\n")

    assert seconds >= 0.2

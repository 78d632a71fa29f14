"""Processor time that the parts of a system have used, as Linux counts it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.memory import service_of

_PROCESSES: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """A process and its processor time since its start, with that of the children it has waited for."""

    parent: int
    name: str
    seconds: float


def seconds_of_children(parent: int) -> dict[str, float]:
    """Return the processor time of each part that `parent` started, in seconds, by service or program name.

    Processes that a part started count as part of it, also after their end, when the part has waited for them.
    """
    return by_part(running_processes(), parent)


def by_part(processes: Mapping[int, Process], parent: int) -> dict[str, float]:
    """Return the seconds of each child of `parent` with all its descendants, by name."""
    found: dict[str, float] = {}
    for pid, process in processes.items():
        part = _part_of(pid, processes, parent)
        if part is not None:
            found[part] = found.get(part, 0.0) + process.seconds
    return found


def descendants(processes: Mapping[int, Process], ancestor: int) -> list[int]:
    """Return the ids of the children of `ancestor`, of their children, and so on."""
    children = [pid for pid, process in processes.items() if process.parent == ancestor]
    return children + [pid for child in children for pid in descendants(processes, child)]


def _part_of(pid: int, processes: Mapping[int, Process], parent: int) -> str | None:
    while (process := processes.get(pid)) is not None:
        if process.parent == parent:
            return process.name
        pid = process.parent
    return None


def running_processes() -> dict[int, Process]:
    """Return every process of this machine by its id. Empty on systems other than Linux."""
    found = {}
    for directory in _PROCESSES.glob("[0-9]*"):
        try:
            stat = (directory / "stat").read_text()
            arguments = (directory / "cmdline").read_text().split("\0")[:-1]
        except (FileNotFoundError, ProcessLookupError):
            # it ended meanwhile
            continue
        program = stat[stat.index("(") + 1 : stat.rindex(")")]
        fields = stat[stat.rindex(")") + 2 :].split()
        # user and system time of the process, then of its children that ended
        seconds = sum(map(int, fields[11:15])) / _TICKS
        found[int(directory.name)] = Process(int(fields[1]), service_of(arguments) or program, seconds)
    return found

"""Peak memory of processes, as Linux counts it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_PROCESSES: Final = Path("/proc")
_PEAK: Final = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def peak_bytes(pid: int) -> int:
    """Return the peak resident memory of a process in bytes. Raises RuntimeError if it has ended."""
    try:
        found = _PEAK.search((_PROCESSES / str(pid) / "status").read_text())
    except FileNotFoundError:
        found = None
    if found is None:
        raise RuntimeError(f"no process {pid} whose memory is known")
    return int(found[1]) * 1024


def peaks_of_children(parent: int) -> dict[str, int]:
    """Return the peak of each of our processes that `parent` started, by service; the largest if there are several.

    Empty on systems other than Linux.
    """
    return largest((name, peak_bytes(pid)) for pid in _children(parent) if (name := service_of(_arguments(pid))))


def largest(peaks: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return the greatest value of each name."""
    found: dict[str, int] = {}
    for name, peak in peaks:
        found[name] = max(peak, found.get(name, 0))
    return found


def service_of(arguments: list[str]) -> str | None:
    """Return the service of one of our command lines: `ingest`, `worker`, `live worker`, ..; None for any other."""
    if "cli.main" not in arguments:
        return None
    name, *options = arguments[arguments.index("cli.main") + 1 :]
    return f"live {name}" if options[-2:] == ["--group", "live"] else name


def _children(parent: int) -> list[int]:
    tasks = (_PROCESSES / str(parent) / "task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def _arguments(pid: int) -> list[str]:
    return (_PROCESSES / str(pid) / "cmdline").read_text().split("\0")[:-1]

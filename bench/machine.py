"""Describes the machine of a run. Figures are meaningless without it."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from bench.tree import THIS, Tree
from cli.local.embedded.binaries import find_postgres, find_valkey


def describe(tree: Tree = THIS) -> dict[str, str]:
    """Return the facts that affect figures of the code of `tree`.

    Call it at the start, when the load is that of other processes.
    """
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1024**3:.1f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "valkey": _output_of([str(find_valkey()), "--version"]),
        "postgres": _output_of([str(find_postgres().postgres), "--version"]),
        "commit": _output_of(["git", "-C", str(tree.root), "describe", "--always", "--dirty"]),
        "load": f"{load} (1, 5, 15 minutes, at the start)",
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _output_of(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.partition("\n")[0]
    except (FileNotFoundError, subprocess.CalledProcessError):
        return "unknown"

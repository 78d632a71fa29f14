"""A short soak: the whole system under traffic while its processes are killed, without loss."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(240)
def test_a_short_soak_is_clean(tmp_path: Path) -> None:
    report = tmp_path / "soak.md"
    command = [
        sys.executable,
        "-m",
        "bench.soak",
        "--minutes",
        "0.3",
        "--pause",
        "4",
        "--seed",
        "4",
        "--report",
        str(report),
    ]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Result: clean." in report.read_text()
    assert "| kill -9 " in report.read_text()

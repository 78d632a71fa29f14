"""Runs programs that use the SDK as a service does, in separate processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "sdk"), "PYTHONWARNINGS": "error"}


def run_script(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-c", text, *arguments], env=ENVIRONMENT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done

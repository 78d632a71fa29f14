"""A git history of two commits, each with a bench that needs no server."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from bench.figures import Figure, Run

_BENCH = """
import argparse, json, subprocess
from bench.measuring import FIGURES, until_measured

STAGES = {"append": None}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=STAGES)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json")
    given = parser.parse_args()
    until_measured()
    commit = subprocess.check_output(["git", "describe", "--always", "--dirty"], text=True).strip()
    with open(given.json, "w") as file:
        json.dump({"machine": {"commit": commit}, "figures": json.loads(FIGURES)}, file)
"""
_MEASURING = """
FIGURES = {figures!r}

def until_measured():
    pass
"""
_SERVER = """
import fcntl, sys, time
with open(sys.argv[1], "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    open(sys.argv[1] + ".held", "w").close()
    time.sleep(600)
"""
_HELD_UP = """
import signal, subprocess, sys
FIGURES = "[]"

def until_measured():
    if {stubborn}:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    with subprocess.Popen([sys.executable, "-c", {server!r}, {lock!r}], start_new_session=True) as server:
        try:
            server.wait()
        finally:
            server.terminate()
"""
_MAKEFILE = """
install:
\t@mkdir -p .venv/bin && ln -s $(PYTHON) .venv/bin/python
"""


class SmallHistory:
    """A repository whose bench has the stage `append`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "bench").mkdir(parents=True)
        (root / "bench/__init__.py").touch()
        (root / "bench/__main__.py").write_text(_BENCH)
        (root / "sdk/studyin_analytics").mkdir(parents=True)
        (root / "sdk/studyin_analytics/__init__.py").touch()
        (root / "Makefile").write_text(_MAKEFILE)
        (root / ".gitignore").write_text("/.venv/\n__pycache__/\n")
        self.git("init", "--quiet")

    def commit(self, *, events_per_second: float, requirements: str = "") -> str:
        """Commit a bench that measures this figure; return the short id."""
        run = Run({}, (Figure("events", events_per_second, "/s"),))
        figures = json.dumps(json.loads(run.to_json())["figures"])
        (self.root / "requirements.txt").write_text(requirements)
        return self._commit(_MEASURING.format(figures=figures))

    def commit_held_up(self, lock: Path, *, stubborn: bool) -> str:
        """Commit a bench that never ends. It starts a process in another session, which holds the lock.

        That process opens the named pipe `lock` with the suffix `.held` then. A stubborn bench ignores SIGINT.
        """
        os.mkfifo(f"{lock}.held")
        return self._commit(_HELD_UP.format(server=_SERVER, lock=str(lock), stubborn=stubborn))

    def _commit(self, measuring: str) -> str:
        (self.root / "bench/measuring.py").write_text(measuring)
        self.git("add", ".")
        self.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "change")
        return self.git("describe", "--always")

    def git(self, *arguments: str) -> str:
        """Run git in the repository; return its output."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return subprocess.run(
            ["git", *arguments], cwd=self.root, env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    def worktrees(self) -> list[str]:
        """Return the directory of each worktree."""
        lines = self.git("worktree", "list", "--porcelain").splitlines()
        return [line.removeprefix("worktree ") for line in lines if line.startswith("worktree ")]

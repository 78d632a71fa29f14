"""Two commits are measured in turn, each by its own code, and nothing is left behind."""

from __future__ import annotations

import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from rich.console import Console

from bench.against.comparison import Plan, compare
from bench.against.revision import Refused
from tests.support.small_history import SmallHistory

pytestmark = pytest.mark.needs_tool("git")
ROOT = Path(__file__).parents[2]
_COMPARE = """
import sys
from pathlib import Path
from rich.console import Console
from bench.against import subprocesses
from bench.against.comparison import Plan, compare
root, results, subprocesses._GRACE_SECONDS = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
compare(root, Plan("HEAD~1", ["append"], 1, "quick", None, results), Console())
"""


@pytest.fixture
def history(tmp_path: Path) -> SmallHistory:
    return SmallHistory(tmp_path / "repository")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of temporary files, to see what is left there."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def _compare(history: SmallHistory, results: Path, revision: str = "HEAD~1", stage: str = "append") -> list[str]:
    output = io.StringIO()
    compare(history.root, Plan(revision, [stage], 2, "quick", None, results), Console(file=output, width=200))
    return [" ".join(line.split()) for line in output.getvalue().splitlines()]


def _line(shown: list[str], name: str) -> str:
    return next(line for line in shown if line.startswith(f"{name} "))


def test_each_commit_is_measured_by_its_own_code(history: SmallHistory, tmp_path: Path, temporary: Path) -> None:
    before, now = history.commit(events_per_second=2_000), history.commit(events_per_second=3_000)

    shown = _compare(history, tmp_path / "results.json")

    assert f"before {before} {temporary}" in _line(shown, "before")
    assert _line(shown, "now") == f"now {now} {history.root} (this environment)"
    table = shown[shown.index("figure before now ratio spread rounds") :]
    assert table[1] == "events 2,000 /s 3,000 /s 1.50 1.50..1.50 2"
    assert history.worktrees() == [str(history.root)]
    assert list(temporary.iterdir()) == []


def test_the_results_have_every_run_in_its_order(history: SmallHistory, tmp_path: Path) -> None:
    before, now = history.commit(events_per_second=2_000), history.commit(events_per_second=3_000)

    _compare(history, tmp_path / "results.json")

    results = json.loads((tmp_path / "results.json").read_text())
    assert (results["sides"]["before"]["commit"], results["sides"]["now"]["commit"]) == (before, now)
    assert [run["side"] for run in results["runs"]] == [
        *("before", "now", "now", "before"),
        *("now", "before", "before", "now"),
    ]
    assert [(figure["name"], figure["ratios"]) for figure in results["figures"]] == [("events", [1.5, 1.5])]


def test_changes_that_are_not_committed_are_measured_too(history: SmallHistory, tmp_path: Path) -> None:
    history.commit(events_per_second=2_000)
    file = history.root / "bench/measuring.py"
    file.write_text(file.read_text().replace("2000", "5000"))

    shown = _compare(history, tmp_path / "results.json", "HEAD")

    assert _line(shown, "now").split()[1].endswith("-dirty")
    assert "events 2,000 /s 5,000 /s 2.50 2.50..2.50 2" in shown


def test_a_commit_with_other_requirements_has_its_own_environment(history: SmallHistory, tmp_path: Path) -> None:
    history.commit(events_per_second=2_000, requirements="one==1\n")
    history.commit(events_per_second=3_000, requirements="one==2\n")

    shown = _compare(history, tmp_path / "results.json")

    assert shown[0] == "HEAD~1 has other requirements: make install ..."
    assert _line(shown, "before").endswith("(its own environment, by its `make install`)")
    assert "events 2,000 /s 3,000 /s 1.50 1.50..1.50 2" in shown


def test_code_of_another_tree_is_not_measured(history: SmallHistory, tmp_path: Path, temporary: Path) -> None:
    history.commit(events_per_second=2_000)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    package = history.root / "bench/__init__.py"
    package.write_text(f"__path__.insert(0, {str(elsewhere)!r})\n")
    history.commit(events_per_second=3_000)

    with pytest.raises(RuntimeError, match=str(elsewhere)):
        _compare(history, tmp_path / "results.json", "HEAD")

    assert history.worktrees() == [str(history.root)]
    assert list(temporary.iterdir()) == []


def test_an_unknown_commit_and_an_unknown_stage_are_refused(history: SmallHistory, tmp_path: Path) -> None:
    history.commit(events_per_second=2_000)

    with pytest.raises(Refused, match="unknown revision: v9"):
        _compare(history, tmp_path / "results.json", "v9")
    with pytest.raises(Refused, match="no stage store"):
        _compare(history, tmp_path / "results.json", "HEAD", "store")
    assert history.worktrees() == [str(history.root)]


def test_a_shallow_clone_is_refused(history: SmallHistory, tmp_path: Path) -> None:
    history.commit(events_per_second=2_000)
    history.commit(events_per_second=3_000)
    history.git("clone", "--quiet", "--depth", "1", history.root.as_uri(), str(tmp_path / "shallow"))

    with pytest.raises(Refused, match="git fetch --unshallow"):
        compare(tmp_path / "shallow", Plan("HEAD", ["append"], 1, "quick", None, tmp_path / "r.json"), Console())


def test_without_git_or_outside_a_clone_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan("HEAD", ["append"], 1, "quick", None, tmp_path / "results.json")

    with pytest.raises(Refused, match="not a git repository"):
        compare(tmp_path, plan, Console())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused, match="git is not installed"):
        compare(tmp_path, plan, Console())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("stubborn", [False, True], ids=["obedient", "stubborn"])
def test_an_interrupted_comparison_leaves_no_process_and_no_worktree(
    history: SmallHistory, tmp_path: Path, temporary: Path, number: signal.Signals, *, stubborn: bool
) -> None:
    lock = tmp_path / "lock"
    history.commit_held_up(lock, stubborn=stubborn)
    history.commit(events_per_second=3_000)
    command = [sys.executable, "-c", _COMPARE, str(history.root), str(tmp_path / "r.json"), "0" if stubborn else "60"]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"TMPDIR": str(temporary)}, stderr=subprocess.PIPE, text=True
    ) as comparison:
        # opened by the process that holds the lock
        Path(f"{lock}.held").read_text()
        comparison.send_signal(number)
        _, errors = comparison.communicate()

    assert "KeyboardInterrupt" in errors
    with lock.open("w") as held:
        # the process that held it has ended: otherwise this waits until the time limit
        fcntl.flock(held, fcntl.LOCK_EX)
    assert history.worktrees() == [str(history.root)]
    assert list(temporary.iterdir()) == []

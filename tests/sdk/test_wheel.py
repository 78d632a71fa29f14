"""The SDK as a separate distribution: it builds, contains the contract, and works without the other packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import pathlib, sys
import studyin_analytics as sdk
from studyin_analytics.middleware import AnalyticsMiddleware
from studyin_analytics.testing import recording_sync_tracker
assert pathlib.Path(sdk.__file__).is_relative_to(sys.argv[1]), sdk.__file__
ours = {"schemas", "runtime", "telemetry", "stream", "storage", "ingest", "processors", "dashboard", "cli", "web"}
assert not ours & set(sys.modules), ours & set(sys.modules)
assert "redis" not in sys.modules and "starlette" not in sys.modules
tracker, recorded = recording_sync_tracker()
with tracker:
    tracker.track_xp_earned(user_id=1, xp_amount=5)
assert len(recorded.events) == 1
"""


def run(*command: str, cwd: Path, **environment: str) -> None:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd)} | environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy, so that nothing is left in the sources."""
    place = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "sdk", place / "sdk", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place), str(place / "sdk"), cwd=place)
    [built] = place.glob("*.whl")
    run(*pip, "install", "--no-deps", "--no-index", "--target", str(place / "installed"), str(built), cwd=place)
    return built


def test_it_carries_the_contract_as_files_and_the_mark_that_it_is_typed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
        contract = content.read("studyin_analytics/schemas/events.py")
    assert contract == (ROOT / "schemas" / "events.py").read_bytes()
    sources = (ROOT / "sdk" / "studyin_analytics").glob("*.py")
    assert {f"studyin_analytics/{path.name}" for path in sources} <= names
    assert "studyin_analytics/py.typed" in names
    assert {name.partition("/")[0] for name in names if not name.endswith("/")} <= {
        "studyin_analytics",
        next(name.partition("/")[0] for name in names if ".dist-info/" in name),
    }


def test_it_works_where_nothing_else_of_ours_is(wheel: Path, tmp_path: Path) -> None:
    installed = wheel.parent / "installed"
    path = os.pathsep.join([str(installed), sysconfig.get_paths()["purelib"]])
    run(sys.executable, "-S", "-c", PROGRAM, str(installed), cwd=tmp_path, PYTHONPATH=path)

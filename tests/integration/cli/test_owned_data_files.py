"""`analytics up` writes its lock and logs neither through links nor to files of another user."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.local.supervised_process import Program, SupervisedProcess
from runtime.errors import ConfigurationError
from tests.support.up import up
from tests.support.waiting import eventually

STRANGER = 12_345
PRECIOUS = "precious"


def link(place: Path, victim: Path) -> str:
    place.symlink_to(victim)
    return "it is a symbolic link"


def second_name(place: Path, victim: Path) -> str:
    place.hardlink_to(victim)
    return "it has a second name"


def foreign(place: Path, _victim: Path) -> str:
    place.write_text(PRECIOUS)
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(place, STRANGER, STRANGER)
    return "it belongs to another user"


Trap = Callable[[Path, Path], str]


@pytest.fixture(params=[link, second_name, foreign])
def trap(request: pytest.FixtureRequest) -> Trap:
    made: Trap = request.param
    return made


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    file = tmp_path / "victim"
    file.write_text(PRECIOUS)
    return file


@pytest.mark.parametrize("name", ["up.lock", "logs/redis.log", "logs/postgres.log"])
def test_a_start_refuses_a_file_that_is_not_ours_alone(
    data_directory: Path, victim: Path, trap: Trap, name: str
) -> None:
    file = data_directory / name
    (data_directory / "logs").mkdir()
    why = trap(file, victim)

    with up(data_directory) as system:
        asyncio.run(eventually(lambda: system.process.poll() is not None or "Ctrl-C stops it" in system.output))
        said = [line for line in system.output.splitlines() if "stopped; the data stays" not in line]

    assert (system.process.returncode, len(said)) == (2, 1), system.output
    assert said[0].startswith(f"analytics: {file}: {why}")
    assert (victim.read_text(), file.read_text()) == (PRECIOUS, PRECIOUS)


async def started(child: SupervisedProcess) -> None:
    await asyncio.wait_for(child.start(), 10)


@pytest.mark.parametrize("size", [0, 11 * 1024**2], ids=["short", "long"])
def test_a_child_is_not_started_when_its_log_is_not_ours_alone(
    tmp_path: Path, victim: Path, trap: Trap, size: int
) -> None:
    # a log above the rotation size is refused too, and is not moved
    os.truncate(victim, size)
    log = tmp_path / "ingest.log"
    why = trap(log, victim)
    child = SupervisedProcess(Program("ingest", ("--version",), {}), tmp_path, lambda _text: None)

    with pytest.raises(ConfigurationError, match=f"ingest.log: {why}"):
        asyncio.run(started(child))

    assert victim.stat().st_size == size
    assert {file.name for file in tmp_path.iterdir()} == {"victim", "ingest.log"}

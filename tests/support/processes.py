"""What Linux says of processes."""

from __future__ import annotations

from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether the process is there; one that ended and only waits to be asked for its code counts as gone."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def arguments(pid: int) -> str:
    """Return the command line, as every user of the machine can read it."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def owner(pid: int) -> int:
    """Return the user id it runs as."""
    return Path(f"/proc/{pid}").stat().st_uid


def program(pid: int) -> Path:
    """Return the file it runs."""
    return Path(f"/proc/{pid}/exe").resolve()

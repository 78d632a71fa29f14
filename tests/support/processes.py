"""Facts about processes, from Linux."""

from __future__ import annotations

from pathlib import Path


def is_running(pid: int) -> bool:
    """Return whether the process runs. A zombie does not count."""
    facts = _facts(pid)
    return facts is not None and facts[0] != "Z"


def is_stopped(pid: int) -> bool:
    """Return whether the process is stopped by SIGSTOP."""
    facts = _facts(pid)
    return facts is not None and facts[0] == "T"


def arguments(pid: int) -> str:
    """Return the command line, which every user of the machine can read."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def environment(pid: int) -> dict[str, str]:
    """Return the environment at its start, which its user can read."""
    variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(variable.split("=", 1) for variable in variables if variable)


def owner(pid: int) -> int:
    """Return the user id of the process."""
    return Path(f"/proc/{pid}").stat().st_uid


def program(pid: int) -> Path:
    """Return the path of its executable."""
    return Path(f"/proc/{pid}/exe").resolve()


def children(pid: int) -> dict[int, str]:
    """Return its running child processes with their command lines."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        facts = _facts(int(place.name))
        if facts is not None and facts[0] != "Z" and int(facts[1]) == pid:
            found[int(place.name)] = arguments(int(place.name))
    return found


def _facts(pid: int) -> list[str] | None:
    """Return state and parent; None if there is no such process."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return status.rpartition(")")[2].split()[:2]

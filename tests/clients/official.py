"""Segment's official clients, each in a separate process."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
LEARNERS = 10

_NPM_CI = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1")
_INSTALL_SECONDS = 40


class NotInstallable(Exception):
    """The packages of the client cannot be installed; the message has the reason."""


@dataclass(frozen=True)
class Client:
    """The command that runs a client."""

    name: str
    command: tuple[str, ...]
    options: tuple[str, ...] = ()

    async def send(self, host: str, key: str, events: int) -> None:
        """Send `events` events of one XP each, and one of each call that is not stored. The client must drop none."""
        process = await asyncio.create_subprocess_exec(
            *(*self.command, host, key, str(events), str(LEARNERS), *self.options),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, said.decode()


def python_client(*options: str) -> Client:
    """Return the client for Python, a development dependency."""
    return Client("python", (sys.executable, str(HERE / "python" / "send.py")), options)


def node_client() -> Client:
    """Return the client for Node, installed once outside of the repository. Raises NotInstallable."""
    sources = HERE / "node"
    lock = (sources / "package-lock.json").read_bytes()
    place = _cache() / f"segment-node-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not place.exists():
        _install(sources, place)
    # next to the packages, where Node looks for them
    shutil.copy(sources / "send.mjs", place)
    return Client("node", ("node", str(place / "send.mjs")))


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "studyin-analytics"


def _install(sources: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f"{place.name}-", dir=place.parent))
    try:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(sources / name, fresh)
        ended = subprocess.run(
            _NPM_CI, cwd=fresh, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
        )
        if ended.returncode:
            raise NotInstallable(f"npm ci failed: {ended.stderr.strip()}")
        # atomic, because another run may have installed it meanwhile
        with contextlib.suppress(OSError):
            fresh.rename(place)
    except subprocess.TimeoutExpired:
        raise NotInstallable(f"npm ci took more than {_INSTALL_SECONDS} s") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)

"""Finds the memory allocator to preload into the embedded Valkey: mimalloc, of the `embedded` extra."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Final

from runtime.errors import AnalyticsError

_WHEEL: Final = "cmeel-mimalloc"
_LIBRARY: Final = "libmimalloc.so"
_ANSWER_SECONDS: Final = 10.0


class AllocatorUnusable(AnalyticsError):
    """The server cannot run with the allocator; the message has the reason, in one line."""


def find_allocator(program: Path, environment: Mapping[str, str]) -> Path:
    """Return the library to name in LD_PRELOAD for `program`, a Valkey or Redis server.

    Runs `program --version` with it and `environment`. Raises AllocatorUnusable if no wheel of this platform is
    installed, if the loader refuses the library, or if the server has an allocator of its own.
    """
    library = _library()
    try:
        trial = subprocess.run(
            [program, "--version"],
            env={**environment, "LD_PRELOAD": str(library)},
            capture_output=True,
            text=True,
            check=False,
            timeout=_ANSWER_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AllocatorUnusable(f"the server does not answer --version: {error}") from None
    # the loader continues without a library that it cannot load, and writes so
    if trial.returncode or trial.stderr:
        raise AllocatorUnusable(" ".join(trial.stderr.split()) or f"the server ends with code {trial.returncode}")
    # a server that links another allocator also calls functions that only that one has
    if "malloc=libc" not in trial.stdout:
        raise AllocatorUnusable(f"the server has its own allocator: {' '.join(trial.stdout.split())}")
    return library


def _library() -> Path:
    try:
        installed = files(_WHEEL) or ()
    except PackageNotFoundError:
        raise AllocatorUnusable(f"the wheel `{_WHEEL}` is not installed") from None
    for file in installed:
        if file.name == _LIBRARY:
            return Path(str(file.locate()))
    raise AllocatorUnusable(f"the wheel `{_WHEEL}` has no {_LIBRARY}")

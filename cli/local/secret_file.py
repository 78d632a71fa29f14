"""Secrets that are generated once and stored beside the data."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def load_or_create_secret(file: Path) -> str:
    """Return the secret in the file. The first call generates it: 256 bits, URL-safe, mode 0600."""
    if not file.exists():
        write_private(file, secrets.token_urlsafe(32))
    return file.read_text().strip()


def write_private(file: Path, text: str) -> None:
    """Write the file with mode 0600, atomically: a reader finds the old text or the new one."""
    fresh = file.with_name(f".{file.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(file)

"""Identifies who runs a command. Environment variables are ignored: the user can set them to anything."""

from __future__ import annotations

import os
import pwd
from typing import Final

_MAX_CHARACTERS: Final = 64


def current_operator() -> str:
    """Return the operating system account of this process as the audit log names it, at most 64 characters."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid:{uid}"
    return f"operator:{_printable(name)[:_MAX_CHARACTERS]}"


def _printable(name: str) -> str:
    # surrogates stand for bytes that are not UTF-8; they are not printable either
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in name)

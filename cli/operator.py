"""Who gives a command, as the system knows them: the environment says whatever its owner likes."""

from __future__ import annotations

import os
import pwd
from typing import Final

_LONGEST: Final = 64


def current_operator() -> str:
    """Return whose command it is, as the audit log names them: the account of the process, at most 64 characters."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid:{uid}"
    return f"operator:{_printable(name)[:_LONGEST]}"


def _printable(name: str) -> str:
    # surrogates stand for bytes that are no UTF-8, and are not printable either
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in name)

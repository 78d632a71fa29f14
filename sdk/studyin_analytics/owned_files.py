"""Opens files that another user cannot have placed there.

In a directory where others can write, a symbolic link, a hard link or a file of another user could redirect our output
or forge our input. Systems without file owners or O_NOFOLLOW are checked less strictly.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection
from os import PathLike
from typing import Final

OWNER_ONLY: Final = 0o600

_WITH_CARE: Final = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    # opening a named pipe must not block
    | getattr(os, "O_NONBLOCK", 0)
)
_IS_A_LINK: Final = frozenset((errno.ELOOP, errno.EMLINK))
"""Errors of opening a link with O_NOFOLLOW."""

_ROOT: Final = 0


def open_owned(path: str | PathLike[str], flags: int, mode: int = OWNER_ONLY) -> int:
    """Open a file that this user or root owns; return its descriptor. With O_CREAT a new file has at most this mode.

    Opens devices. Raises OSError with the reason for a symbolic link, a file of another user or with a second hard
    link, a pipe, or a directory.
    """
    try:
        descriptor = os.open(path, flags | _WITH_CARE, mode)
    except OSError as error:
        if error.errno in _IS_A_LINK and os.path.islink(path):
            raise _refused(path, "it is a symbolic link") from None
        raise
    try:
        _require_owned(os.fstat(descriptor), path, ())
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def require_owned(path: str | PathLike[str], also: Collection[int] = ()) -> None:
    """Validate a file that a library opens by name. A missing file is valid.

    Files of the users `also` are accepted too. Raises OSError like `open_owned`.
    """
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(facts.st_mode):
        raise _refused(path, "it is a symbolic link")
    _require_owned(facts, path, also)


def require_no_strangers(directory: str | PathLike[str]) -> None:
    """Raise OSError when every user may replace files in the directory."""
    mode = os.stat(directory).st_mode
    if os.name == "posix" and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise _refused(directory, "every user may exchange files in this directory; run chmod o-w on it")


def _require_owned(facts: os.stat_result, path: str | PathLike[str], also: Collection[int]) -> None:
    is_file = stat.S_ISREG(facts.st_mode)
    if not is_file and not stat.S_ISCHR(facts.st_mode):
        raise _refused(path, "it is not a regular file")
    if hasattr(os, "geteuid") and facts.st_uid not in (os.geteuid(), _ROOT, *also):
        raise _refused(path, f"it belongs to another user (uid {facts.st_uid})")
    if is_file and facts.st_nlink > 1:
        raise _refused(path, "it has a second name (hard link)")


def _refused(path: str | PathLike[str], why: str) -> OSError:
    return PermissionError(errno.EPERM, why, os.fspath(path))

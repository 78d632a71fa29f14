"""Files that hold or decide what is sent are opened only where nobody else can have put them.

In a directory that others may write to, a symbolic link, a hard link or a file of theirs would lead what is written
to a place of their choice, or feed us what they wrote. A system that knows no owners or no O_NOFOLLOW checks less.
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
    # a named pipe must not hold up whoever opens it
    | getattr(os, "O_NONBLOCK", 0)
)
_IS_A_LINK: Final = frozenset((errno.ELOOP, errno.EMLINK))
"""What systems say of a link under O_NOFOLLOW."""

_ROOT: Final = 0


def open_owned(path: str | PathLike[str], flags: int, mode: int = OWNER_ONLY) -> int:
    """Open a file of ours or of root's and return its descriptor; with O_CREAT a new one has at most this mode.

    Raises OSError that says why not: a symbolic link, a file of somebody else or with a second name, a pipe, a
    directory. A device is what the caller named, and is opened.
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
    """Check a file that a library opens by its name; one that is not there is good.

    `also` are users whose files are taken like ours. Raises OSError as `open_owned` does.
    """
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(facts.st_mode):
        raise _refused(path, "it is a symbolic link")
    _require_owned(facts, path, also)


def require_no_strangers(directory: str | PathLike[str]) -> None:
    """Check that nobody can exchange our files in a directory. Raises OSError when everybody may write and delete."""
    mode = os.stat(directory).st_mode
    if os.name == "posix" and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise _refused(directory, "every user may exchange files in this directory (chmod o-w it)")


def _require_owned(facts: os.stat_result, path: str | PathLike[str], also: Collection[int]) -> None:
    is_file = stat.S_ISREG(facts.st_mode)
    if not is_file and not stat.S_ISCHR(facts.st_mode):
        raise _refused(path, "it is no regular file")
    if hasattr(os, "geteuid") and facts.st_uid not in (os.geteuid(), _ROOT, *also):
        raise _refused(path, f"it belongs to another user (uid {facts.st_uid})")
    if is_file and facts.st_nlink > 1:
        raise _refused(path, "it has a second name (hard link)")


def _refused(path: str | PathLike[str], why: str) -> OSError:
    return PermissionError(errno.EPERM, why, os.fspath(path))

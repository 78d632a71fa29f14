"""Notifies clients when the process forks or ends.

The sets are the only module state of the SDK, because the interpreter calls these functions without arguments.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from typing import Final, Protocol
from weakref import WeakKeyDictionary, WeakSet

from .no_fork import NO_FORK


class Forked(Protocol):
    """Notified of forks. `before_fork` and one of the other methods are called in the forking thread."""

    def before_fork(self) -> None:
        """Release resources that two processes must not share."""
        ...

    def after_fork_in_parent(self) -> None:
        """Resume."""
        ...

    def after_fork_in_child(self) -> None:
        """Start without the state of the parent."""
        ...


class Ended(Protocol):
    """Notified of the end of the process."""

    def end(self, timeout: float) -> None:
        """Accept no more events and send the remaining ones. Does not block."""
        ...

    def shutdown(self, timeout: float) -> bool:
        """Wait until they are sent, up to `timeout` seconds. Returns whether all have a verdict."""
        ...


_forked: Final[WeakSet[Forked]] = WeakSet()
_ended: Final[WeakKeyDictionary[Ended, float]] = WeakKeyDictionary()
_finalizers: Final[list[object]] = []
_lock: Final = threading.RLock()


def watch_forks(client: Forked) -> None:
    """Notify a client of forks, until it is garbage collected."""
    with _lock:
        _forked.add(client)


def end_with_process(sender: Ended, timeout: float) -> None:
    """Shut a sender down when the process exits normally, with this timeout in seconds."""
    with _lock:
        _ended[sender] = timeout
        # children of multiprocessing skip atexit, those of Celery call os._exit
        multiprocessing, celery = sys.modules.get("multiprocessing.util"), sys.modules.get("celery.signals")
        if multiprocessing is not None and not _finalizers:
            _finalizers.append(multiprocessing.Finalize(None, _end_all, exitpriority=0))
        if celery is not None:
            celery.worker_process_shutdown.connect(_end_in_celery, weak=False, dispatch_uid=__name__)


def _end_in_celery(**_facts: object) -> None:
    _end_all()


def _end_all() -> None:
    with _lock:
        left = dict(_ended)
    since = time.monotonic()
    for sender, timeout in left.items():
        sender.end(timeout)
    for sender, timeout in left.items():
        sender.shutdown(max(0.0, timeout - (time.monotonic() - since)))


def _before_fork() -> None:
    _lock.acquire()
    NO_FORK.acquire()
    for client in list(_forked):
        client.before_fork()


def _after_fork_in_parent() -> None:
    for client in list(_forked):
        client.after_fork_in_parent()
    NO_FORK.release()
    _lock.release()


def _after_fork_in_child() -> None:
    _ended.clear()
    _finalizers.clear()
    for client in list(_forked):
        client.after_fork_in_child()
    NO_FORK.release()
    _lock.release()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)

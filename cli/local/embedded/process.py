"""One server process, independent of the terminal that started it, and identified by a lock that it holds."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from runtime.errors import ConfigurationError, DependencyUnavailable

_POLL_SECONDS = 0.02


class ServerFailed(DependencyUnavailable):
    """An embedded server did not start, or ended. The detail includes the last lines of its log."""

    dependency = "embedded server"


@dataclass(frozen=True, slots=True)
class Account:
    """The user that a server runs as."""

    uid: int
    gid: int


class ServerProcess:
    """Starts, checks and ends one server. Every method blocks.

    The server inherits the lock file, open and locked. The kernel releases the lock when the server and all of its
    children have ended. So the lock is held exactly while the server runs, which a pid file cannot guarantee.
    """

    def __init__(self, name: str, home: Path, log: Path, *, stop_signal: signal.Signals, grace: float) -> None:
        """Store the state in `home`. `stop_signal` starts a shutdown, which may take `grace` seconds."""
        self._name = name
        self._lock = home / "lock"
        self._log = log
        self._stop_signal = stop_signal
        self._grace = grace
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the server that this object started; None if it is not running."""
        return self._child.pid if self._child and self._child.poll() is None else None

    def recorded_pid(self) -> int | None:
        """Return the process id of the last server started here, by any process. It may have ended."""
        try:
            return int(self._lock.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def end_leftover(self) -> bool:
        """End a server that an earlier process left running. Return whether there was one.

        Raises ServerFailed if it cannot be ended.
        """
        if self._is_free():
            return False
        if self._child is not None:
            raise ServerFailed("running", f"{self._name} runs already")
        self._signal_recorded(self._stop_signal)
        if not self._wait(self._is_free, self._grace):
            self._signal_recorded(signal.SIGKILL)
            self._wait_until_free()
        return True

    def launch(
        self,
        arguments: Sequence[str | Path],
        *,
        account: Account | None,
        environment: dict[str, str],
    ) -> None:
        """Start the server in its own session, so that Ctrl-C in the terminal does not reach it."""
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with self._open_log() as log:
                self._child = subprocess.Popen(
                    [str(argument) for argument in arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                    pass_fds=(descriptor,),
                    user=account.uid if account else None,
                    group=account.gid if account else None,
                    extra_groups=[] if account else None,
                )
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{self._child.pid}\n".encode(), 0)
        except BlockingIOError:
            raise ServerFailed("running", f"another process runs {self._name} on {self._lock.parent}") from None
        finally:
            os.close(descriptor)

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready` returns true. Raises ServerFailed if the server ends before, or after `seconds`."""
        child = self._started()
        self._wait(lambda: child.poll() is not None or ready(), seconds)
        if child.poll() is not None:
            raise ServerFailed("ended", f"{self._name} ended with code {child.returncode}: {self.log_tail()}")
        if not ready():
            raise ServerFailed("timeout", f"{self._name} not ready after {seconds:.0f} s: {self.log_tail()}")

    def stop(self) -> None:
        """Shut the server down; kill it after the grace time. No-op if it is not running."""
        if self.pid is None:
            return
        child = self._started()
        child.send_signal(self._stop_signal)
        try:
            child.wait(self._grace)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self._wait_until_free()

    def kill(self) -> None:
        """Kill the server, for fault tests. Returns when all of its processes have ended."""
        child = self._started()
        child.kill()
        child.wait()
        self._wait_until_free()

    def log(self, line: str) -> None:
        """Add a line to the log of the server."""
        with self._open_log() as log:
            log.write(f"{line}\n".encode())

    def log_tail(self, lines: int = 5) -> str:
        """Return the last lines of the log of the server."""
        if not self._log.exists():
            return f"nothing in {self._log}"
        text = self._log.read_text(errors="replace").strip()
        return f"{' | '.join(text.splitlines()[-lines:])} (see {self._log})"

    def _open_log(self) -> BinaryIO:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        # not through a link: the owner of the file was checked before, and a link could change since
        return open(self._log, "ab", opener=_without_links)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise ServerFailed("not started", f"{self._name} was not started here")
        return self._child

    def _is_free(self) -> bool:
        try:
            descriptor = os.open(self._lock, os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    def _wait_until_free(self) -> None:
        if not self._wait(self._is_free, self._grace):
            raise ServerFailed("leftover", f"processes of {self._name} still hold {self._lock}")

    def _signal_recorded(self, number: signal.Signals) -> None:
        pid = self.recorded_pid()
        if pid is None:
            return
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        except PermissionError:
            raise ConfigurationError(f"{self._name} (process {pid}) belongs to another user; stop it there") from None

    @staticmethod
    def _wait(fact: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not fact():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)

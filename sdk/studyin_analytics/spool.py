"""Events on disk until they have their verdict: one SQLite database for all processes of a service.

It holds what is sent, raw ids of learners too, so only its owner may read it, and what is settled is overwritten.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, Final

from .errors import ConfigurationError
from .stores import Lease, Parcel, StoreFailed, within

FILE_NAME: Final = "events.sqlite3"
PAGE_BYTES: Final = 4096
SECONDS_FOR_OTHERS: Final = 5.0
"""How long a call waits for other processes, each of which holds the database for moments only."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    body BLOB NOT NULL,
    leased_until REAL NOT NULL DEFAULT 0
)
"""


class Spool:
    """Keeps events in a directory, and gives each to one sender at a time, whichever process that is in.

    A lease ends by itself: what a process had leased when it was killed is sent by another, with the same ids.
    """

    def __init__(
        self,
        directory: str | PathLike[str],
        max_bytes: int,
        lease_seconds: float,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Raise ConfigurationError when nothing can be kept there."""
        self.newest = 0
        self._file = Path(directory) / FILE_NAME
        self._max_pages = max(max_bytes // PAGE_BYTES, 16)
        self._lease_seconds = lease_seconds
        self._clock = wall_clock
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file.touch(mode=0o600)
            with self._open() as connection:
                connection.execute(_SCHEMA)
            self.newest = int(self._ask("SELECT coalesce(max(key), 0) FROM events"))
        except (OSError, StoreFailed) as error:
            raise ConfigurationError(f"spool_dir: nothing can be kept there: {error}") from error

    def put(self, body: bytes) -> str | None:
        """Take an event: from here on it survives the end of the process, however that comes."""
        try:
            with self._open() as connection:
                key = connection.execute("INSERT INTO events (body) VALUES (?)", (body,)).lastrowid
        except StoreFailed as failure:
            return "spool_full" if getattr(failure.__cause__, "sqlite_errorname", "") == "SQLITE_FULL" else str(failure)
        self.newest = max(self.newest, key or 0)
        return None

    def lease(self, count: int, max_bytes: int) -> Lease:
        """Take the oldest events for a while."""
        now = self._clock()
        with self._open() as connection, _transaction(connection):
            rows = connection.execute(
                "SELECT key, body FROM events WHERE leased_until <= ? ORDER BY key LIMIT ?", (now, count + 1)
            ).fetchall()
            found = within([Parcel(*row) for row in rows[:count]], max_bytes)
            connection.executemany(
                "UPDATE events SET leased_until = ? WHERE key = ?",
                [(now + self._lease_seconds, parcel.key) for parcel in found],
            )
            if len(found) < len(rows):
                return Lease(found, 0.0)
            others = connection.execute("SELECT EXISTS (SELECT 1 FROM events WHERE leased_until > ?)", (now,))
            return Lease(found, self._lease_seconds if others.fetchone()[0] else None)

    def settle(self, keys: Collection[int]) -> int:
        """Delete events."""
        with self._open() as connection, _transaction(connection):
            deletions = (connection.execute("DELETE FROM events WHERE key = ?", (key,)) for key in keys)
            return sum(deletion.rowcount for deletion in deletions)

    def release(self, keys: Collection[int]) -> None:
        """End leases."""
        with self._open() as connection, _transaction(connection):
            connection.executemany("UPDATE events SET leased_until = 0 WHERE key = ?", [(key,) for key in keys])

    def holds_through(self, key: int) -> bool:
        """Whether an event up to this key is still in the database, of whichever process."""
        try:
            return bool(self._ask("SELECT EXISTS (SELECT 1 FROM events WHERE key <= ?)", key))
        except StoreFailed:
            return True

    def __len__(self) -> int:
        try:
            return int(self._ask("SELECT count(*) FROM events"))
        except StoreFailed:
            return 0

    def abandon(self) -> int:
        """Let the file go; nothing is lost."""
        self.hold_still()
        self.go_on()
        return 0

    def hold_still(self) -> None:
        """Let the file go and keep everybody from opening it: SQLite's connections must not see a fork."""
        self._lock.acquire()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def go_on(self) -> None:
        """End what `hold_still` began."""
        self._lock.release()

    def _ask(self, question: str, *parameters: object) -> Any:
        with self._open() as connection:
            return connection.execute(question, parameters).fetchone()[0]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                yield self._connection
            except sqlite3.Error as error:
                raise StoreFailed("spool_failed") from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file, timeout=SECONDS_FOR_OTHERS, isolation_level=None, check_same_thread=False
        )
        try:
            for pragma in (
                "journal_mode = WAL",
                "synchronous = NORMAL",
                "secure_delete = ON",
                f"max_page_count = {self._max_pages}",
            ):
                with closing(connection.execute(f"PRAGMA {pragma}")) as answer:
                    answer.fetchall()
        except sqlite3.Error:
            connection.close()
            raise
        return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")

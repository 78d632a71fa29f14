"""Events on disk until they have their verdict: one SQLite database for all processes of a service.

It holds what is sent, raw ids of learners too, so only its owner may read it, and what is settled is overwritten.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from copy import copy
from os import PathLike
from pathlib import Path
from typing import Any, Final

from .errors import ConfigurationError
from .hooks import LOGGER
from .stores import Lease, Parcel, StoreFailed, within

FILE_NAME: Final = "events.sqlite3"
PAGE_BYTES: Final = 4096
SECONDS_FOR_OTHERS: Final = 5.0
"""How long a call waits for other processes, each of which holds the database for moments only."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    body BLOB NOT NULL,
    maker TEXT NOT NULL,      -- who put it, and wants to know when it has its verdict
    holder TEXT NOT NULL,     -- who sends it,
    held_until REAL NOT NULL  -- and for how long nobody else does
)
"""


class Spool:
    """Keeps events in a directory. Each process sends its own, and what another has not sent for `lease_seconds`.

    So what was left by a process that was killed is sent by another, or by the next, with the same ids.
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
        self._name = secrets.token_hex(8)
        self._clock = wall_clock
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file.touch(mode=0o600)
            with self._open() as connection:
                connection.execute(_SCHEMA)
        except (OSError, StoreFailed) as error:
            raise ConfigurationError(f"spool_dir: nothing can be kept there: {error}") from error

    def put(self, body: bytes) -> str | None:
        """Take an event: from here on it survives the end of the process, however that comes."""
        try:
            with self._open() as connection:
                key = connection.execute(
                    "INSERT INTO events (body, maker, holder, held_until) VALUES (?, ?, ?, ?)",
                    (body, self._name, self._name, self._clock() + self._lease_seconds),
                ).lastrowid
        except StoreFailed as failure:
            return "spool_full" if getattr(failure.__cause__, "sqlite_errorname", "") == "SQLITE_FULL" else str(failure)
        self.newest = max(self.newest, key or 0)
        return None

    def lease(self, most: int, max_bytes: int) -> Lease:
        """Take the oldest events for a while."""
        now = self._clock()
        with self._open() as connection, _transaction(connection):
            rows = connection.execute(
                "SELECT key, body FROM events WHERE holder = ? OR held_until <= ? ORDER BY key LIMIT ?",
                (self._name, now, most + 1),
            ).fetchall()
            found = within([Parcel(*row) for row in rows[:most]], max_bytes)
            connection.executemany(
                "UPDATE events SET holder = ?, held_until = ? WHERE key = ?",
                [(self._name, now + self._lease_seconds, parcel.key) for parcel in found],
            )
            if len(found) < len(rows):
                return Lease(found, 0.0)
            others = connection.execute("SELECT min(held_until) FROM events WHERE holder <> ?", (self._name,))
            until = others.fetchone()[0]
            return Lease(found, None if until is None else max(until - now, 0.0))

    def settle(self, keys: Collection[int]) -> int:
        """Delete events."""
        with self._open() as connection, _transaction(connection):
            deletions = (connection.execute("DELETE FROM events WHERE key = ?", (key,)) for key in keys)
            return sum(deletion.rowcount for deletion in deletions)

    def release(self, keys: Collection[int]) -> None:
        """Do nothing: they stay ours to send, as long as nobody has to step in."""

    def holds_through(self, key: int) -> bool:
        """Whether an event that was put here is still in the database, whoever sends it."""
        question = "SELECT EXISTS (SELECT 1 FROM events WHERE key <= ? AND maker = ?)"
        try:
            return bool(self._ask(question, key, self._name))
        except StoreFailed:
            return True

    def __len__(self) -> int:
        try:
            return int(self._ask("SELECT count(*) FROM events"))
        except StoreFailed:
            return 0

    def abandon(self) -> int:
        """Leave everything to others, and let the file go; nothing is lost."""
        try:
            with self._open() as connection:
                connection.execute("UPDATE events SET held_until = 0 WHERE holder = ?", (self._name,))
        except StoreFailed:
            LOGGER.warning("what is left in the spool is sent by others %s seconds later", self._lease_seconds)
        self.hold_still()
        self.go_on()
        return 0

    def in_child(self) -> Spool:
        """Return a spool of the same file for a process that was forked off; nothing is opened before it is used."""
        child = copy(self)
        child.newest, child._name, child._lock = 0, secrets.token_hex(8), threading.RLock()
        return child

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

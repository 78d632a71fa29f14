"""The events that were set aside in a spool: list them, send them again, or drop them.

python -m studyin_analytics.dead_letters list|send-again|drop SPOOL_DIR [EVENT_ID ...]
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from os import PathLike
from pathlib import Path
from typing import Any

from .errors import ConfigurationError
from .spool import FILE_NAME, SECONDS_FOR_OTHERS


@dataclass(frozen=True)
class DeadLetter:
    """An event that was set aside."""

    event: dict[str, Any]
    """As it was sent, with the raw id of the learner."""
    reason: str
    """What ingest answered at last."""
    tries: int
    first_failure: datetime
    set_aside_at: datetime

    @property
    def event_id(self) -> str:
        """Return the id it was sent with."""
        return str(self.event.get("event_id", ""))


class DeadLetters:
    """Those of one spool, which clients may have open meanwhile. Every call reads the disk."""

    def __init__(self, spool_dir: str | PathLike[str]) -> None:
        """Raise ConfigurationError when there is no spool."""
        self._file = Path(spool_dir) / FILE_NAME
        if not self._file.is_file():
            raise ConfigurationError(f"spool_dir: there is no {FILE_NAME} in it")

    def list(self) -> Sequence[DeadLetter]:
        """Return all, oldest first. Raises ConfigurationError when the spool cannot be read."""
        with self._open() as connection:
            if not _has_letters(connection):
                return []
            rows = connection.execute(
                "SELECT body, reason, tries, since, set_aside_at FROM dead_letters ORDER BY key"
            ).fetchall()
        return [
            DeadLetter(json.loads(body), reason, tries, _moment(since), _moment(set_aside_at))
            for body, reason, tries, since, set_aside_at in rows
        ]

    def send_again(self, event_ids: Collection[str] | None = None) -> int:
        """Put events, all for None, back among those to send, with the same ids; return how many.

        A client of this spool sends them with its next events, or when it starts.
        """
        return self._remove("INSERT INTO events (body, maker, holder, held_until) VALUES (?, '', '', 0)", event_ids)

    def drop(self, event_ids: Collection[str] | None = None) -> int:
        """Delete events, all for None; return how many."""
        return self._remove(None, event_ids)

    def _remove(self, before: str | None, event_ids: Collection[str] | None) -> int:
        with self._open() as connection:
            if not _has_letters(connection):
                return 0
            connection.execute("BEGIN IMMEDIATE")
            rows = connection.execute("SELECT key, body FROM dead_letters ORDER BY key").fetchall()
            chosen = [row for row in rows if event_ids is None or json.loads(row[1]).get("event_id") in event_ids]
            if before is not None:
                connection.executemany(before, [(body,) for _, body in chosen])
            connection.executemany("DELETE FROM dead_letters WHERE key = ?", [(key,) for key, _ in chosen])
            connection.execute("COMMIT")
        return len(chosen)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._file, timeout=SECONDS_FOR_OTHERS, isolation_level=None)) as connection:
                connection.execute("PRAGMA secure_delete = ON")
                yield connection
        except sqlite3.Error as error:
            raise ConfigurationError(f"spool_dir: the spool cannot be read: {error}") from error


def _has_letters(connection: sqlite3.Connection) -> bool:
    # A spool of a release that set nothing aside has no such table
    found = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'dead_letters'")
    return bool(found.fetchone()[0])


def _moment(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, timezone.utc)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m studyin_analytics.dead_letters", description="Events that were set aside in a spool."
    )
    parser.add_argument("action", choices=["list", "send-again", "drop"])
    parser.add_argument("spool_dir")
    parser.add_argument("event_id", nargs="*", help="Only these; all unless given.")
    given = parser.parse_args(arguments)
    chosen = given.event_id or None
    try:
        letters = DeadLetters(given.spool_dir)
        if given.action == "list":
            for letter in letters.list():
                if chosen is None or letter.event_id in chosen:
                    sys.stdout.write(_line(letter) + "\n")
            return 0
        count = letters.send_again(chosen) if given.action == "send-again" else letters.drop(chosen)
    except ConfigurationError as error:
        parser.error(str(error))
    sys.stdout.write(f"{count} events\n")
    return 0


def _line(letter: DeadLetter) -> str:
    """Return what is told of an event: nothing of the learner."""
    return json.dumps(
        {
            "event_id": letter.event_id,
            "event_type": letter.event["event_type"],
            "reason": letter.reason,
            "tries": letter.tries,
            "first_failure": letter.first_failure.isoformat(),
            "set_aside_at": letter.set_aside_at.isoformat(),
        }
    )


if __name__ == "__main__":
    sys.exit(main())

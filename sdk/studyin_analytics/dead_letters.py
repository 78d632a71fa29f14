"""The events that were set aside in a spool: list them, send them again, or drop them.

python -m studyin_analytics.dead_letters list|send-again|drop SPOOL_DIR [EVENT_ID ...]

Exit codes: 0 all is well, 1 an EVENT_ID is of no dead letter or the reader of the output went away, 2 wrong usage or no
readable spool, 3 the output cannot be written.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sqlite3
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from os import PathLike
from pathlib import Path
from typing import Any, Final

from .errors import ConfigurationError
from .schemas.visible_text import visible, visible_json
from .spool import FILE_NAME, SECONDS_FOR_OTHERS, require_own_spool

UNKNOWN_ID: Final = 1
CLOSED_OUTPUT: Final = 1
FULL_OUTPUT: Final = 3


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
            # an operator's root may look after the spool of a service
            require_own_spool(self._file, also=[self._file.parent.stat().st_uid] if _is_root() else [])
            with closing(sqlite3.connect(self._file, timeout=SECONDS_FOR_OTHERS, isolation_level=None)) as connection:
                connection.execute("PRAGMA secure_delete = ON")
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(f"spool_dir: the spool cannot be read: {error}") from error


def _has_letters(connection: sqlite3.Connection) -> bool:
    # A spool of a release that set nothing aside has no such table
    found = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'dead_letters'")
    return bool(found.fetchone()[0])


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


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
        known = [letter for letter in letters.list() if chosen is None or letter.event_id in chosen]
        lines = [_line(letter) for letter in known]
        if given.action != "list":
            count = letters.send_again(chosen) if given.action == "send-again" else letters.drop(chosen)
            lines = [f"{count} events"]
    except ConfigurationError as error:
        parser.error(visible(str(error)))
    missing = set(chosen or ()) - {letter.event_id for letter in known}
    for event_id in sorted(missing):
        sys.stderr.write(visible(f"{parser.prog}: no dead letter has the event_id {event_id}") + "\n")
    return _write(lines) or (UNKNOWN_ID if missing else 0)


def _write(lines: Sequence[str]) -> int:
    """Write lines to standard output; return the exit code."""
    try:
        sys.stdout.write("".join(f"{visible_json(line)}\n" for line in lines))
        sys.stdout.flush()
    except OSError as error:
        # what is left in the buffer must not fail once more at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:
            return CLOSED_OUTPUT
        sys.stderr.write(f"standard output cannot be written: {error.strerror}\n")
        return FULL_OUTPUT
    return 0


def _line(letter: DeadLetter) -> str:
    """Return what is told of an event: nothing of the learner."""
    return json.dumps(
        {
            "event_id": letter.event_id,
            "event_type": letter.event.get("event_type", ""),
            "reason": letter.reason,
            "tries": letter.tries,
            "first_failure": letter.first_failure.isoformat(),
            "set_aside_at": letter.set_aside_at.isoformat(),
        }
    )


if __name__ == "__main__":
    sys.exit(main())

"""Lists the dead letters of a spool, sends them again, or drops them.

python -m studyin_analytics.dead_letters list|send-again|drop SPOOL_DIR [EVENT_ID ...]

Exit codes: 0 success, 1 an EVENT_ID matches no dead letter or the reader closed the output, 2 wrong usage or unreadable
spool, 3 the output cannot be written.
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
from .schemas.text.visible_text import visible, visible_json
from .spool import FILE_NAME, SECONDS_FOR_OTHERS, require_own_spool

UNKNOWN_ID: Final = 1
CLOSED_OUTPUT: Final = 1
FULL_OUTPUT: Final = 3


@dataclass(frozen=True)
class DeadLetter:
    """An event that was set aside."""

    event: dict[str, Any]
    """The event as it was sent, with the raw learner id."""
    reason: str
    """The last answer of ingest."""
    tries: int
    first_failure: datetime
    set_aside_at: datetime

    @property
    def event_id(self) -> str:
        """Id of the event."""
        return str(self.event.get("event_id", ""))


class DeadLetters:
    """The dead letters of one spool. Clients may use the spool at the same time. Every call blocks on the disk."""

    def __init__(self, spool_dir: str | PathLike[str]) -> None:
        """Raise ConfigurationError when the directory has no spool."""
        self._file = Path(spool_dir) / FILE_NAME
        if not self._file.is_file():
            raise ConfigurationError(f"spool_dir has no {FILE_NAME}; is it the spool_dir of a client?")

    def list(self) -> Sequence[DeadLetter]:
        """Return all dead letters, oldest first. Raises ConfigurationError when the spool cannot be read."""
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
        """Queue events for sending again, with the same ids; None for all. Returns their number.

        A client of this spool sends them with its next events, or when it starts.
        """
        return self._remove("INSERT INTO events (body, maker, holder, held_until) VALUES (?, '', '', 0)", event_ids)

    def drop(self, event_ids: Collection[str] | None = None) -> int:
        """Delete events; None for all. Returns their number."""
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
            # root may manage the spool of a service
            require_own_spool(self._file, also=[self._file.parent.stat().st_uid] if _is_root() else [])
            with closing(sqlite3.connect(self._file, timeout=SECONDS_FOR_OTHERS, isolation_level=None)) as connection:
                connection.execute("PRAGMA secure_delete = ON")
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(f"spool_dir has a spool that cannot be read: {error}") from error


def _has_letters(connection: sqlite3.Connection) -> bool:
    # spools of releases without dead letters lack the table
    found = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'dead_letters'")
    return bool(found.fetchone()[0])


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _moment(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, timezone.utc)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m studyin_analytics.dead_letters", description="Manage the dead letters of a spool."
    )
    parser.add_argument("action", choices=["list", "send-again", "drop"])
    parser.add_argument("spool_dir")
    parser.add_argument("event_id", nargs="*", help="Only these events. Default: all.")
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
        # the rest of the buffer goes to /dev/null: the flush at exit must not fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:
            return CLOSED_OUTPUT
        sys.stderr.write(f"standard output cannot be written: {error.strerror}\n")
        return FULL_OUTPUT
    return 0


def _line(letter: DeadLetter) -> str:
    """Return the JSON line of an event, without data of the learner."""
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

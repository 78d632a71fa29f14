"""Records which history was sent to a system, so that a second start resumes it and no event counts twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from cli.demo.learners import Learner
from cli.demo.traffic import Event, demo_events
from runtime.embedded.secret_file import write_private
from runtime.errors import ConfigurationError

_NAME = "demo.json"


@dataclass(frozen=True, slots=True)
class History:
    """The arguments of `demo_events`."""

    seed: int
    users: int
    count: int
    now: datetime
    history_days: float

    def events(self, learners: list[Learner] | None = None) -> Iterator[Event]:
        """Yield the events. `learners` advance as the events are consumed."""
        return demo_events(self.seed, self.users, self.count, self.now, self.history_days, learners)


def resolve_history(data_dir: Path, requested: History) -> tuple[History, bool]:
    """Return the history to send, and whether it was sent completely before.

    It is the one recorded in `data_dir` if that differs from `requested` only in its time. Otherwise `requested` is
    recorded and returned. Raises ConfigurationError when the file is damaged. Blocks on the disk.
    """
    file = data_dir / _NAME
    try:
        content = json.loads(file.read_text())
        recorded = History(**{**content["history"], "now": datetime.fromisoformat(content["history"]["now"])})
        if replace(recorded, now=requested.now) == requested:
            return recorded, bool(content["sent"])
    except FileNotFoundError:
        pass
    except (ValueError, TypeError, KeyError):
        raise ConfigurationError(
            f"{file} is damaged; restore it, or remove it to send another history in addition to the first"
        ) from None
    _write(file, requested, sent=False)
    return requested, False


def record_history_sent(data_dir: Path, history: History) -> None:
    """Record that the whole history was sent. Blocks on the disk."""
    _write(data_dir / _NAME, history, sent=True)


def _write(file: Path, history: History, *, sent: bool) -> None:
    content = {**asdict(history), "now": history.now.isoformat()}
    write_private(file, json.dumps({"history": content, "sent": sent}, indent=2) + "\n")

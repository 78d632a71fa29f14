"""Which history a system was sent, so that a second start sends the same one or none: nothing counts twice."""

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
    """What `demo_events` is called with."""

    seed: int
    users: int
    count: int
    now: datetime
    history_days: float

    def events(self, learners: list[Learner] | None = None) -> Iterator[Event]:
        """Give the events; `learners` are further at the end."""
        return demo_events(self.seed, self.users, self.count, self.now, self.history_days, learners)


def keep_history(data_dir: Path, wanted: History) -> tuple[History, bool]:
    """Return the history to send, and whether it was sent as a whole before.

    It is the one kept in `data_dir`, with the time of its first start, unless another kind is wanted; then that is kept
    from now on. Raises ConfigurationError when the file is damaged. Blocks on the disk.
    """
    file = data_dir / _NAME
    try:
        content = json.loads(file.read_text())
        kept = History(**{**content["history"], "now": datetime.fromisoformat(content["history"]["now"])})
        if replace(kept, now=wanted.now) == wanted:
            return kept, bool(content["sent"])
    except FileNotFoundError:
        pass
    except (ValueError, TypeError, KeyError):
        raise ConfigurationError(
            f"{file} is damaged; without it the history is sent anew, beside the old one"
        ) from None
    _write(file, wanted, sent=False)
    return wanted, False


def history_sent(data_dir: Path, history: History) -> None:
    """Note that ingest has the whole history. Blocks on the disk."""
    _write(data_dir / _NAME, history, sent=True)


def _write(file: Path, history: History, *, sent: bool) -> None:
    content = {**asdict(history), "now": history.now.isoformat()}
    write_private(file, json.dumps({"history": content, "sent": sent}, indent=2) + "\n")

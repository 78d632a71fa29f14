"""A second start of the demo resumes the history of the first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.demo.history import History, record_history_sent, resolve_history
from runtime.errors import ConfigurationError

FIRST = History(seed=1, users=5, count=100, now=datetime(2026, 3, 4, 9, 30, 1, 5, tzinfo=UTC), history_days=7.5)
LATER = replace(FIRST, now=FIRST.now + timedelta(days=2))


def test_the_first_one_is_kept_until_it_is_sent_and_after(tmp_path: Path) -> None:
    assert resolve_history(tmp_path, FIRST) == (FIRST, False)
    assert resolve_history(tmp_path, LATER) == (FIRST, False)
    record_history_sent(tmp_path, FIRST)
    assert resolve_history(tmp_path, LATER) == (FIRST, True)


def test_another_kind_is_another_history(tmp_path: Path) -> None:
    resolve_history(tmp_path, FIRST)
    record_history_sent(tmp_path, FIRST)
    other = replace(LATER, users=6)
    assert resolve_history(tmp_path, other) == (other, False)
    assert resolve_history(tmp_path, replace(other, now=FIRST.now)) == (other, False)


@pytest.mark.parametrize("content", ["", "{}", '{"history": {"seed": 1}, "sent": true}', '{"history": 3}'])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "demo.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"demo\.json"):
        resolve_history(tmp_path, FIRST)

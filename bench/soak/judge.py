"""Compares what the senders saw with what the tables hold."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from bench.soak.traffic import Score


@dataclass(frozen=True)
class Verdict:
    """What was found."""

    stored: int
    lost: int
    """Accepted, and neither stored nor a dead letter."""
    strangers: int
    """Stored and never offered."""
    dead_lettered: int
    verify: dict[str, Any]

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        kept = self.lost == self.strangers == self.dead_lettered == 0
        return kept and bool(self.verify["clean"]) and not self.verify["losses"]


async def judge(database_url: str, data_dir: Path, score: Score) -> Verdict:
    """Compare; everything must have settled before."""
    connection = await asyncpg.connect(database_url)
    try:
        stored = {row[0] for row in await connection.fetch("SELECT event_id FROM analytics_events")}
        letters = await connection.fetchval("SELECT count(*) FROM dead_letters")
    finally:
        await connection.close()
    return Verdict(
        stored=len(stored),
        lost=len(score.accepted - stored),
        strangers=len(stored - score.offered),
        dead_lettered=letters,
        verify=verified(data_dir),
    )


def verified(data_dir: Path) -> dict[str, Any]:
    """Return what `analytics verify --json` says; a difference is for the report."""
    command = [sys.executable, "-m", "cli.main", "verify", "--json", "--data-dir", str(data_dir)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if not answer.stdout:
        raise RuntimeError(answer.stderr)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found

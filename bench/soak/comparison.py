"""Compares the senders' records with the tables."""

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
    """The result of the comparison."""

    stored: int
    lost: int
    """Number of events that were accepted and are neither stored nor dead letters."""
    never_offered: int
    """Number of events that are stored and were never offered."""
    dead_lettered: int
    verify: dict[str, Any]

    @property
    def is_clean(self) -> bool:
        """Whether no guarantee was broken."""
        kept = self.lost == self.never_offered == self.dead_lettered == 0
        return kept and bool(self.verify["clean"]) and not self.verify["losses"]


async def compare_with_tables(database_url: str, data_dir: Path, score: Score) -> Verdict:
    """Compare the records with the tables. All events must be settled."""
    connection = await asyncpg.connect(database_url)
    try:
        stored = {row[0] for row in await connection.fetch("SELECT event_id FROM analytics_events")}
        letters = await connection.fetchval("SELECT count(*) FROM dead_letters")
    finally:
        await connection.close()
    return Verdict(
        stored=len(stored),
        lost=len(score.accepted - stored),
        never_offered=len(stored - score.offered),
        dead_lettered=letters,
        verify=verified(data_dir),
    )


def verified(data_dir: Path) -> dict[str, Any]:
    """Return the output of `analytics verify --json`. A difference is reported, not raised."""
    command = [sys.executable, "-m", "cli.main", "verify", "--json", "--data-dir", str(data_dir)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if not answer.stdout:
        raise RuntimeError(answer.stderr)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found

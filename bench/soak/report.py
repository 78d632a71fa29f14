"""The report of a soak, as a Markdown document."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.soak.comparison import Verdict
from bench.soak.traffic import Score


@dataclass(frozen=True)
class Sample:
    """One sample of the running system."""

    at: float
    """Seconds since the start."""
    lag_seconds: float | None
    """None while Redis is unreachable."""
    backlog: int | None
    memory: Mapping[str, int]
    """Bytes by kind of process."""


def written(
    seed: int, minutes: float, score: Score, faults: Mapping[str, int], samples: Sequence[Sample], verdict: Verdict
) -> str:
    """Return the document."""
    books = verdict.verify["books"]
    rows = [
        ("events offered, each id once", len(score.offered)),
        ("events offered a second time", score.repeated),
        ("batches sent again after a refusal or no answer", score.sent_again),
        ("requests refused for now", sum(score.answers[status] for status in ("429", "503"))),
        ("events accepted", len(score.accepted)),
        ("events stored", verdict.stored),
        ("entries found to be duplicates", sum(book["duplicate"] for book in books)),
        ("dead letters", verdict.dead_lettered),
        ("accepted and lost", verdict.lost),
        ("stored and never offered", verdict.never_offered),
        ("aggregate rows that drifted", verdict.verify["drift"]),
        ("times Redis had less than before", len(verdict.verify["losses"])),
        ("restarts survived", sum(times for name, times in faults.items() if name.startswith("kill"))),
        ("books balanced", "yes" if all(book["balanced"] for book in books) else "NO"),
    ]
    lines = [
        "# Soak",
        "",
        f"`make soak` for {minutes:g} minutes, seed {seed}, on {os.cpu_count()} cores ({platform.machine()}) that also",
        "ran Redis, Postgres, the senders and the faults. Result: " + ("clean." if verdict.is_clean else "NOT CLEAN."),
        "",
        *_table(
            ("what", "number"), [(name, f"{value:,}" if isinstance(value, int) else value) for name, value in rows]
        ),
        "",
        "## Faults",
        "",
        *_table(("fault", "times"), [(name, str(times)) for name, times in sorted(faults.items())]),
        "",
        "Answers of ingest to batches: "
        + ", ".join(f"{name}: {n:,}" for name, n in sorted(score.answers.items()))
        + ".",
        "",
        "## Over time",
        "",
        *_over_time(samples),
    ]
    return "\n".join(lines) + "\n"


def _over_time(samples: Sequence[Sample]) -> list[str]:
    names = sorted({name for sample in samples for name in sample.memory})
    head = ("second", "lag (s)", "backlog", *(f"{name} (MB)" for name in names))
    step = max(1, len(samples) // 30)
    rows = [
        (
            f"{sample.at:.0f}",
            "away" if sample.lag_seconds is None else f"{sample.lag_seconds:.1f}",
            "away" if sample.backlog is None else f"{sample.backlog:,}",
            *(f"{sample.memory[name] / 1e6:.0f}" if name in sample.memory else "" for name in names),
        )
        for sample in samples[::step]
    ]
    return _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]

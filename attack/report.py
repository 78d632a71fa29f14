"""The report of a run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attack.attempt import Attempt, write_attempt
from attack.campaign import Campaign
from attack.verdict import Finding, Measure

_MEBIBYTE: Final = 1024**2
_SECONDS: Final = (Measure.LIVEZ, Measure.CPU)
_BYTES: Final = (Measure.PEAK_MEMORY, Measure.SETTLED_MEMORY)


def lines(campaign: Campaign, folder: Path) -> Iterator[str]:
    """Yield the report line by line. Writes the inputs that it mentions into the folder."""
    tally = campaign.tally
    yield "calm, /livez, 99th percentile: " + ", ".join(
        f"{name} {seconds * 1_000:.1f} ms" for name, seconds in campaign.calm.items()
    )
    yield f"{sum(tally.attempts.values()):,} attempts: " + ", ".join(
        f"{count:,} {kind}" for kind, count in sorted(tally.attempts.items())
    )
    yield "answers: " + ", ".join(f"{count:,} x {status}" for status, count in sorted(tally.answers.items()))
    for name, before in campaign.before.items():
        after = campaign.after.get(name)
        if after is not None:
            yield (
                f"{name}: memory {_mebibytes(before.resident_bytes)} before, {_mebibytes(after.resident_bytes)} after;"
                f" time series {before.series} before, {after.series} after"
            )
    yield ""
    yield "worst input of each measure"
    for worst in tally.worst():
        name = f"{worst.measure} {worst.service}"
        place = _saved(folder, f"worst {name}", worst.attempt)
        yield f"  {name}: {_shown(worst.measure, worst.value)}, {_described(worst.attempt)}, {place}"
    yield ""
    for number, finding in enumerate(tally.findings, 1):
        yield _finding(finding, folder, number)
    if campaign.is_interrupted:
        yield "interrupted before the end"
    yield f"{len(tally.findings)} findings" if tally.findings else "nothing found"


def _finding(finding: Finding, folder: Path, number: int) -> str:
    shown = f"{_shown(finding.measure, finding.value)}, bound {_shown(finding.measure, finding.bound)}"
    text = f"FOUND {finding.measure}, {finding.service}: {shown}"
    if finding.detail:
        text += f" ({finding.detail})"
    if finding.attempt is None:
        return text
    return f"{text}, {_described(finding.attempt)}, {_saved(folder, f'finding {number}', finding.attempt)}"


def _saved(folder: Path, name: str, attempt: Attempt) -> Path:
    place = folder / f"{re.sub('[^a-z0-9]+', '-', name)}.json"
    write_attempt(attempt, place)
    return place


def _described(attempt: Attempt) -> str:
    return f"{attempt.lineage!r} as {attempt.form}, {len(attempt.payload):,} bytes"


def _shown(measure: Measure, value: float) -> str:
    if measure in _SECONDS:
        return "no answer" if math.isinf(value) else f"{value * 1_000:.0f} ms"
    return _mebibytes(value) if measure in _BYTES else f"{value:,.0f}"


def _mebibytes(value: float) -> str:
    return f"{value / _MEBIBYTE:.0f} MiB"

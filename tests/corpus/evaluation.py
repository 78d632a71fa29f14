"""Detection rates of personal data for docs/privacy.md: `python -m tests.corpus.evaluation docs/privacy.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from ingest.privacy.detectors import find_personal
from schemas.document_section import replace_section
from tests.corpus.harmless import FAMILIES
from tests.corpus.personal_forms import KINDS

FOLDER: Final = Path(__file__).parent
CHOSEN: Final = FOLDER / "personal.jsonl"
"""Texts of the development of the detectors: personal but hard to detect, or harmless but like personal ones."""

HELD_BACK: Final = FOLDER / "held_back.jsonl"
"""Texts written before the detectors and not looked at during their development."""

SEED: Final = "held back"
GENERATED: Final = 1_000
"""Number of texts of each kind and family, from a seed that was not used during development."""

HARMLESS: Final = "harmless"


class Share(NamedTuple):
    """The number of texts that were detected as personal, of a total."""

    found: int
    total: int

    @property
    def ratio(self) -> float:
        """The detected share, from 0 to 1."""
        return self.found / self.total

    def __str__(self) -> str:
        return f"{self.found:,} of {self.total:,}"


def share_of(texts: Iterable[str]) -> Share:
    """Return how many of the texts are detected as personal."""
    results = [find_personal(text) is not None for text in texts]
    return Share(sum(results), len(results))


def labelled(file: Path) -> dict[str, list[str]]:
    """Return the texts of a file by kind, harmless ones under HARMLESS."""
    texts: dict[str, list[str]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        texts.setdefault(entry["kind"] or HARMLESS, []).append(entry["text"])
    return texts


def generated(name: str, make: Callable[[Random], str], count: int = GENERATED, seed: str = SEED) -> list[str]:
    """Return texts of one kind or family, the same for the same seed."""
    rng = Random(f"{seed} {name}")
    return [make(rng) for _ in range(count)]


def by_kind() -> dict[str, tuple[Share, Share, Share]]:
    """Return the detection rates of each kind: for the chosen, the held-back and the generated texts."""
    chosen, held_back = labelled(CHOSEN), labelled(HELD_BACK)
    return {
        kind: (share_of(chosen[kind]), share_of(held_back[kind]), share_of(generated(kind, make)))
        for kind, make in KINDS.items()
    }


def by_family() -> dict[str, Share]:
    """Return the false-positive rate of each family of harmless texts."""
    return {family: share_of(generated(family, make)) for family, make in FAMILIES.items()}


def harmless_chosen() -> tuple[Share, Share]:
    """Return the false-positive rates of the chosen and of the held-back harmless texts."""
    return share_of(labelled(CHOSEN)[HARMLESS]), share_of(labelled(HELD_BACK)[HARMLESS])


def with_tables(document: str) -> str:
    """Return the document with the current figures between its two markers. Raises ValueError if one is missing."""
    return replace_section(document, "evaluation", "".join(f"{line}\n" for line in _lines()))


def _lines() -> list[str]:
    families = by_family()
    everything = Share(sum(share.found for share in families.values()), sum(share.total for share in families.values()))
    chosen, held_back = harmless_chosen()
    return [
        "| found to be personal | chosen to be hard | held back | generated |",
        "|---|---|---|---|",
        *(f"| {kind.replace('_', ' ')} | {' | '.join(map(str, shares))} |" for kind, shares in by_kind().items()),
        f"| {HARMLESS} | {chosen} | {held_back} | {everything} |",
        "",
        "| harmless, generated | found to be personal |",
        "|---|---|",
        *(f"| {family} | {share} |" for family, share in families.items()),
    ]


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")

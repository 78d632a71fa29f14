"""Shows a comparison as a table, and writes it as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.against.pairs import Name, Pair, Sample, pairs_of, unpaired
from bench.against.sides import Side
from bench.figures import number


def show(samples: Sequence[Sample], console: Console) -> None:
    """Print the table, what has no ratio, and the notes of the last run of each stage and side."""
    console.print(table(pairs_of(samples)))
    for quantity, reason in unpaired(samples).items():
        console.print(f"no ratio of {quantity.name}: {reason}", highlight=False, soft_wrap=True)
    for sample in {(sample.stage, sample.side): sample for sample in samples}.values():
        for figure in sample.figures:
            if figure.note:
                console.print(f"{sample.side}: {figure.name}: {figure.note}", highlight=False, soft_wrap=True)


def table(pairs: Iterable[Pair]) -> Table:
    """Return a table with a line for each pair. Below a figure are its multiples of its floors."""
    shown = Table(box=None, pad_edge=False)
    shown.add_column("figure", overflow="fold")
    for column in ("before", "now", "ratio", "spread", "rounds"):
        shown.add_column(column, justify="right", no_wrap=True)
    figure = ""
    for pair in pairs:
        name, unit = pair.quantity.name, pair.quantity.unit
        if not name.startswith(f"{figure} / "):
            figure = name
        shown.add_row(
            name if name == figure else f" {name.removeprefix(figure)}",
            f"{number(pair.before)} {unit}",
            f"{number(pair.now)} {unit}",
            f"{pair.ratio:.2f}",
            "{:.2f}..{:.2f}".format(*pair.spread),
            str(len(pair.ratios)),
        )
    return shown


def to_json(sides: Mapping[Name, Side], samples: Sequence[Sample], machine: Mapping[str, str]) -> str:
    """Return the machine, both sides, the figures of the table, and those of every run."""
    document: dict[str, Any] = {
        "machine": machine,
        "sides": {
            name: {"commit": side.commit, "tree": str(side.tree.root), "environment": side.environment}
            for name, side in sides.items()
        },
        "figures": [
            {
                **pair.quantity._asdict(),
                "before": pair.before,
                "now": pair.now,
                "ratio": pair.ratio,
                "ratios": pair.ratios,
            }
            for pair in pairs_of(samples)
        ],
        "runs": [{**sample._asdict(), "figures": [asdict(figure) for figure in sample.figures]} for sample in samples],
    }
    return json.dumps(document, indent=2) + "\n"

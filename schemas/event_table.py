"""The table of event types in docs/api.md, from the catalogue: `python -m schemas.event_table docs/api.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from .catalogue import CATALOGUE, EventKind
from .document_section import replace_section


def with_table(document: str) -> str:
    """Return the document with the current table between its two marks. Raises ValueError if a marker is missing."""
    return replace_section(document, "event types", "".join(_rows()))


def _rows() -> Iterator[str]:
    yield "| `event_type` | of | required properties | optional properties | adds to |\n|---|---|---|---|---|\n"
    for kind in CATALOGUE.values():
        fields = kind.properties.model_fields.items()
        cells = (
            f"[`{kind.name}`](schemas/{kind.name}.json)",
            kind.subject.value,
            _names(name for name, field in fields if field.is_required()),
            _names(name for name, field in fields if not field.is_required()),
            _contribution(kind),
        )
        yield f"| {' | '.join(cells)} |\n"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _contribution(kind: EventKind) -> str:
    xp = f"XP, by `{kind.xp}`" if kind.xp else ""
    counter = f"`{kind.counter}`" if kind.counter else ""
    return ", ".join(filter(None, (xp, counter)))


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_table(file.read_text(encoding="utf-8")), encoding="utf-8")

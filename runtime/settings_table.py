"""The table of settings of a document. `python -m runtime.settings_table docs/configuration.md` writes it."""

from __future__ import annotations

import sys
from pathlib import Path

from runtime.settings import Settings
from schemas.document_section import replace_section


def with_table(document: str) -> str:
    """Return the document with the current table between its two marks. Raises ValueError if a marker is missing."""
    return replace_section(document, "settings", _rows())


def _rows() -> str:
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        variable = field.alias or f"ANALYTICS_{name.upper()}"
        default = "" if field.default in (None, (), "") else f"`{field.default}`"
        lines.append(f"| `{variable}` | {default} | {field.description} |")
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_table(file.read_text(encoding="utf-8")), encoding="utf-8")

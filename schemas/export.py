"""JSON Schema of each event type, for senders in any language. `python -m schemas.export DIR` writes the files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from .events import MODELS, Envelope

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schemas() -> dict[str, str]:
    """Return the text of each schema by the name of its file, `<event_type>.json`."""
    return {f"{event_type}.json": _written(model) for event_type, model in MODELS.items()}


def export(directory: Path) -> None:
    """Write every schema into `directory` and create it if it is missing. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in json_schemas().items():
        (directory / name).write_text(text, encoding="utf-8")


def _written(model: type[Envelope]) -> str:
    schema = {"$schema": _DIALECT} | model.model_json_schema()
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    export(Path(sys.argv[1]))

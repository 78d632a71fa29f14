"""`analytics keys rotate-pseudonym`: a new key for pseudonyms, and how to bring it in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.local.dev_access import rotate_pseudonym_keys
from cli.local.dev_file import ACCESS_NAME, DATA_DIR, DataDir
from cli.output import note, show
from runtime.embedded.secret_file import write_private
from runtime.errors import ConfigurationError
from runtime.pseudonym_keys import with_new_key

_PSEUDONYM_KEYS: Final = "ANALYTICS_PSEUDONYM_KEYS"


def rotate_pseudonym(
    out: Annotated[Path | None, typer.Option(help="File to write the new value to (mode 0600), not stdout.")] = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Make a new key for pseudonyms and say how to bring it in. No learner's history is lost: old keys still read.

    With ANALYTICS_PSEUDONYM_KEYS set, its next value is printed; else the system in the data directory is given it.
    """
    current = os.environ.get(_PSEUDONYM_KEYS)
    if not current:
        _rotate_development(data_dir)
        return
    rotated = with_new_key(current)
    if out is None:
        show(rotated)
    else:
        write_private(out, rotated + "\n")
    note(
        f"this is the next {_PSEUDONYM_KEYS}: a new key in front, every older one behind it. Bring it in so:",
        "  1. give it to every dashboard, and to whoever runs `analytics privacy`, and restart them:"
        " they read with all keys",
        "  2. then give it to every ingest, and restart them one by one: new events are stored under the new key",
        "  3. keep the old keys: what was stored under them is found by them alone",
        "Back it up before step 2. Without its keys nobody's rows are found again.",
    )


def _rotate_development(data_dir: Path) -> None:
    file = data_dir / ACCESS_NAME
    if not file.exists():
        raise ConfigurationError(f"{_PSEUDONYM_KEYS} is not set, and no system was run in {data_dir}")
    rotate_pseudonym_keys(file)
    note(
        f"{file} has a new key in front, the older ones behind it. Restart `analytics up`: new events are stored under"
        " the new key, answers are read with all."
    )

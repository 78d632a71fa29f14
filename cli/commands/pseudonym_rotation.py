"""`analytics keys rotate-pseudonym`: creates a new pseudonym key and explains how to deploy it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.local.dev_access import rotate_pseudonym_keys
from cli.local.dev_file import ACCESS_NAME, DATA_DIR, DataDir
from cli.local.secret_file import write_private
from cli.output import note, show
from runtime.errors import ConfigurationError
from runtime.setting_values.pseudonym_keys import with_new_key

_PSEUDONYM_KEYS: Final = "ANALYTICS_PSEUDONYM_KEYS"


def rotate_pseudonym(
    out: Annotated[
        Path | None, typer.Option(help="Write the new value to this file (mode 0600) instead of stdout.")
    ] = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Create a new pseudonym key and explain how to deploy it. Old keys stay, so no learner's history is lost.

    If ANALYTICS_PSEUDONYM_KEYS is set, print its next value. Otherwise change the system in the data directory.
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
        f"this is the next value of {_PSEUDONYM_KEYS}: a new key, then all older keys. To deploy it:",
        "  1. Set it for every dashboard and for `analytics privacy`, and restart: they read with all keys.",
        "  2. Set it for every ingest, and restart one at a time: they store new events under the new key.",
        "  3. Keep the old keys: rows stored under an old key can be found only with that key.",
        "Back the value up before step 2. Without these keys stored learners cannot be found.",
    )


def _rotate_development(data_dir: Path) -> None:
    file = data_dir / ACCESS_NAME
    if not file.exists():
        raise ConfigurationError(
            f"{_PSEUDONYM_KEYS} is not set and {data_dir} has no system; set the variable or give --data-dir"
        )
    rotate_pseudonym_keys(file)
    note(
        f"{file} has a new pseudonym key before the older ones. Restart `analytics up`: new events are stored under the"
        " new key, and answers are read with all keys."
    )

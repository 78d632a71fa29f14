"""Options that choose events: their types, and the learner they are about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from runtime.errors import ConfigurationError
from schemas.catalogue import EventType

Types = Annotated[
    list[str] | None, typer.Option("--type", metavar="TYPE[,TYPE]", help="Only events of these types. Repeatable.")
]


def parse_types(given: Iterable[str] | None) -> tuple[EventType, ...]:
    """Return the types of `--type`, without repeats; empty for all types. Raises ConfigurationError."""
    names = [name for one in given or () for name in one.split(",")]
    try:
        return tuple(EventType(name) for name in dict.fromkeys(names))
    except ValueError:
        raise ConfigurationError(f"--type takes {', '.join(EventType)}") from None


def parse_learner_id(option: str, text: str) -> str:
    """Return the learner id given with an option. Raises ConfigurationError when it is blank."""
    if not text.strip():
        raise ConfigurationError(f"{option} is empty; give the id of a learner as services send it")
    return text

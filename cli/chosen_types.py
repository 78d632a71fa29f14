"""`--type`: which kinds of events, given one by one or with commas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from runtime.errors import ConfigurationError
from schemas.catalogue import EventType

Types = Annotated[
    list[str] | None, typer.Option("--type", metavar="TYPE[,TYPE]", help="Only these types of events; may be repeated.")
]


def parse_types(given: Iterable[str] | None) -> tuple[EventType, ...]:
    """Return the types, each once; none: all. Raises ConfigurationError."""
    names = [name for one in given or () for name in one.split(",")]
    try:
        return tuple(EventType(name) for name in dict.fromkeys(names))
    except ValueError:
        raise ConfigurationError(f"--type takes {', '.join(EventType)}") from None

"""Who wants to hear of which events."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from .errors import ConfigurationError, HandlerFailed
from .hooks import ErrorHook
from .live_frames import Gap
from .schemas.catalogue import EventType
from .schemas.live import LiveEvent

Said = TypeVar("Said")

Handler = Callable[[Any], object]
"""Takes a LiveEvent, of which a handler may name the type it subscribed to."""
GapHandler = Callable[[Gap], object]


class Subscriptions:
    """Handlers by the types they want."""

    def __init__(self, hook: ErrorHook) -> None:
        self._hook = hook
        self._handlers: list[tuple[frozenset[str] | None, Handler]] = []
        self._gap_handlers: list[GapHandler] = []

    def add(self, types: Iterable[str] | None, handler: Handler) -> None:
        """Let a handler hear of some types, of all for None. Raises ConfigurationError for an unknown type."""
        self._handlers.append((chosen(types), handler))

    def add_for_gaps(self, handler: GapHandler) -> None:
        """Let a handler hear of events that are lost."""
        self._gap_handlers.append(handler)

    @property
    def types(self) -> frozenset[str] | None:
        """What anybody wants to hear of, None for all."""
        wanted: frozenset[str] = frozenset()
        for types, _ in self._handlers:
            if types is None:
                return None
            wanted |= types
        return wanted

    async def hear(self, said: LiveEvent | Gap) -> None:
        """Call each handler concerned, one after the other. One that raises is told, and harms nobody."""
        if isinstance(said, Gap):
            for gap_handler in self._gap_handlers:
                await self._call(gap_handler, said)
            return
        for types, handler in self._handlers:
            if types is None or said.event_type in types:
                await self._call(handler, said)

    async def _call(self, handler: Callable[[Said], object], said: Said) -> None:
        try:
            answer = handler(said)
            if inspect.isawaitable(answer):
                await answer
        except Exception as failure:  # noqa: BLE001 - told, without its text: that may have values of the event
            told = HandlerFailed(f"a handler raised {type(failure).__name__}")
            told.__cause__ = failure
            self._hook.tell(told)


def chosen(types: Iterable[str] | None) -> frozenset[str] | None:
    """Return the names of types; None for every type. Raises ConfigurationError for no type or an unknown one."""
    if types is None:
        return None
    names = frozenset([str(types)] if isinstance(types, str) else map(str, types))
    unknown = sorted(names - frozenset(map(str, EventType)))
    if unknown or not names:
        raise ConfigurationError(f"no types of events: {', '.join(unknown) or 'the list is empty'}")
    return names

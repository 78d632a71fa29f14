"""The handlers of a bus and the event types they subscribe to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from .errors import ConfigurationError, HandlerFailed
from .hooks import ErrorHook
from .live_frames import Gap
from .schemas.catalogue import EventType
from .schemas.live import LiveEvent

News = TypeVar("News")

Handler = Callable[[Any], object]
"""Takes a LiveEvent. A handler may annotate the subclass of its event type."""
GapHandler = Callable[[Gap], object]


class Subscriptions:
    """Handlers with their event types."""

    def __init__(self, hook: ErrorHook) -> None:
        self._hook = hook
        self._handlers: list[tuple[frozenset[str] | None, Handler]] = []
        self._gap_handlers: list[GapHandler] = []

    def add(self, types: Iterable[str] | None, handler: Handler) -> None:
        """Add a handler for these types; None for all types. Raises ConfigurationError for an unknown type."""
        self._handlers.append((chosen(types), handler))

    def add_for_gaps(self, handler: GapHandler) -> None:
        """Add a handler for gaps."""
        self._gap_handlers.append(handler)

    @property
    def types(self) -> frozenset[str] | None:
        """The types of all handlers together; None for all types."""
        wanted: frozenset[str] = frozenset()
        for types, _ in self._handlers:
            if types is None:
                return None
            wanted |= types
        return wanted

    async def deliver(self, news: LiveEvent | Gap) -> None:
        """Call the handlers of the event or gap, one after another. Their exceptions are reported, not raised."""
        if isinstance(news, Gap):
            for gap_handler in self._gap_handlers:
                await self._call(gap_handler, news)
            return
        for types, handler in self._handlers:
            if types is None or news.event_type in types:
                await self._call(handler, news)

    async def _call(self, handler: Callable[[News], object], news: News) -> None:
        try:
            answer = handler(news)
            if inspect.isawaitable(answer):
                await answer
        except Exception as failure:  # noqa: BLE001 - reported without its text, which may have values of the event
            failed = HandlerFailed(f"a handler raised {type(failure).__name__}")
            failed.__cause__ = failure
            self._hook.report(failed)


def chosen(types: Iterable[str] | None) -> frozenset[str] | None:
    """Return the names of the types, None for all. Raises ConfigurationError for an empty list or an unknown type."""
    if types is None:
        return None
    names = frozenset([str(types)] if isinstance(types, str) else map(str, types))
    unknown = sorted(names - frozenset(map(str, EventType)))
    if unknown or not names:
        raise ConfigurationError(
            f"unknown event types: {', '.join(unknown)}" if unknown else "the list of event types is empty"
        )
    return names

"""`analytics tail`: follows live events, through the event bus of the SDK."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, Final

import typer
from studyin_analytics import EventBus, SubscriptionRefused
from studyin_analytics.errors import ConfigurationError as Unusable
from studyin_analytics.live_frames import Disconnected, Frame, Gap, Source
from studyin_analytics.live_socket import SocketSource
from studyin_analytics.schemas.live import LiveEvent, UnknownEvent

from cli.event_options import Types, parse_learner_id, parse_types
from cli.event_text import format_event
from cli.interrupt import run_unless_interrupted
from cli.local.dev_file import DATA_DIR, DataDir
from cli.output import say, show, show_json_text
from cli.target import ReadKey, ReadUrl, find_reader, unusable_proxy
from runtime.errors import ConfigurationError, DependencyUnavailable
from schemas.answers.events import StoredEvent
from schemas.catalogue import EventType


class LiveRefused(DependencyUnavailable):
    """The read service refuses the subscription, and a retry would not help."""

    dependency = "live events"


_KEY_REFUSED: Final = frozenset({401, 403, 4401})
"""HTTP statuses, and the WebSocket close code for a key that expired or was revoked."""

_ANOTHER_SERVICE: Final = re.compile(r"status ([23]\d\d|40[0456]|410|421|426|501|505)")
"""Answers of a server without live events."""


class FollowedEvent(StoredEvent):
    """An event in its stored form, with the id of its live message."""

    id: str


def tail(
    types: Types = None,
    user: Annotated[str | None, typer.Option(help="Only events of this learner, by the id that services send.")] = None,
    url: ReadUrl = None,
    key: ReadKey = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document per line.")] = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Follow live events through the read service until Ctrl-C. Learners appear as pseudonyms.

    A lost connection is restored without gaps or repeats. Events that the service no longer has are reported as
    missing. Exit code 3 when the service refuses the key, or when another service answers at the URL.
    """
    target, selected = find_reader(url, key, data_dir), parse_types(types)
    user = user if user is None else parse_learner_id("--user", user)
    _show_sdk_messages()
    try:
        bus = EventBus(source=ReadService(SocketSource(target.url, target.key, user)))
        asyncio.run(run_unless_interrupted(_follow(bus, selected, _show_json if as_json else _show_line)))
    except ImportError as error:
        raise unusable_proxy(target.host, error) from error
    except Unusable as error:
        raise ConfigurationError(str(error)) from error


async def _follow(bus: EventBus, types: tuple[EventType, ...], show_event: Callable[[FollowedEvent], None]) -> None:
    bus.on_gap(_say_gap)
    try:
        async with aclosing(bus.events(types or None)) as events:
            async for event in events:
                show_event(to_stored_event(event))
    except SubscriptionRefused as refused:
        raise LiveRefused("key refused" if refused.status in _KEY_REFUSED else "refused", str(refused)) from None


class ReadService:
    """A source of live events that detects when another service answers at its URL."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._is_known = False

    async def listen(self, types: frozenset[str] | None, after: str | None) -> AsyncGenerator[Frame, None]:
        """Yield the frames of one connection.

        Raises Disconnected, or LiveRefused when another service answers and the read service never did.
        """
        async with aclosing(self._source.listen(types, after)) as frames:
            try:
                async for frame in frames:
                    self._is_known = True
                    yield frame
            except Disconnected as disconnected:
                # after the read service has answered once, such an answer comes from a proxy while it restarts
                if self._is_known or not _ANOTHER_SERVICE.fullmatch(str(disconnected)):
                    raise
                raise LiveRefused(
                    "unexpected answer", f"{disconnected}; is this the URL of the read service?"
                ) from disconnected


def to_stored_event(event: LiveEvent) -> FollowedEvent:
    """Return the event in its stored form, so that `tail` and `events` show the same."""
    envelope = set(LiveEvent.model_fields)
    properties = event.model_dump(mode="json", exclude_none=True, exclude=envelope)
    return FollowedEvent(
        **event.model_dump(include=envelope - {"service"}),
        source=event.service,
        properties=event.properties if isinstance(event, UnknownEvent) else properties,
    )


def _show_line(event: FollowedEvent) -> None:
    show(format_event(event))


def _show_json(event: FollowedEvent) -> None:
    show_json_text(event.model_dump_json())


def _say_gap(gap: Gap) -> None:
    say(f"events are missing here ({gap.reason or 'no reason given'}); `analytics events` shows stored events")


class _MessageHandler(logging.Handler):
    """Prints the connection messages that the SDK logs. Repeats of one reason are printed once."""

    def __init__(self) -> None:
        super().__init__()
        self._last: object = None

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message unless it repeats the previous one."""
        # the first argument is the reason, the second the delay until the next attempt
        reason = record.msg, str(record.args[0]) if isinstance(record.args, tuple) and record.args else ""
        if reason != self._last:
            self._last = reason
            say(record.getMessage())


def _show_sdk_messages() -> None:
    log = logging.getLogger("studyin_analytics")
    log.addHandler(_MessageHandler())
    log.setLevel(logging.INFO)

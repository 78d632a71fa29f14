"""`analytics tail`: events as they come in, by the SDK's bus."""

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
from cli.event_text import line_of
from cli.interrupt import unless_interrupted
from cli.local.dev_file import DATA_DIR, DataDir
from cli.output import say, show, show_json_text
from cli.target import ReadKey, ReadUrl, find_reader, unusable_proxy
from runtime.errors import ConfigurationError, DependencyUnavailable
from schemas.answers import StoredEvent
from schemas.catalogue import EventType


class LiveRefused(DependencyUnavailable):
    """The read service does not let us follow, and trying again would not help."""

    dependency = "live events"


_KEY_REFUSED: Final = frozenset({401, 403, 4401})
"""HTTP statuses, and the close code of a connection whose key has ended."""

_ANOTHER_SERVICE: Final = re.compile(r"status ([23]\d\d|40[0456]|410|421|426|501|505)")
"""How a server answers that knows nothing of live events."""


class FollowedEvent(StoredEvent):
    """An event as it is stored, and the id of its message."""

    id: str


def tail(
    types: Types = None,
    user: Annotated[str | None, typer.Option(help="Only those about this learner: the id as services send it.")] = None,
    url: ReadUrl = None,
    key: ReadKey = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line.")] = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Follow events as they come in, over the read service, until Ctrl-C. Learners are shown by their pseudonyms.

    A connection that is lost is made again, and nothing is left out or shown twice; what the service no longer has is
    said. Exit code 3 when it refuses the key, or when another service answers at the URL.
    """
    target, wanted = find_reader(url, key, data_dir), parse_types(types)
    user = user if user is None else parse_learner_id("--user", user)
    _tell_notices()
    try:
        bus = EventBus(source=ReadService(SocketSource(target.url, target.key, user)))
        asyncio.run(unless_interrupted(_follow(bus, wanted, _show_json if as_json else _show_line)))
    except ImportError as error:
        raise unusable_proxy(target.host, error) from error
    except Unusable as error:
        raise ConfigurationError(str(error)) from error


async def _follow(bus: EventBus, types: tuple[EventType, ...], show_event: Callable[[FollowedEvent], None]) -> None:
    bus.on_gap(_say_gap)
    try:
        async with aclosing(bus.events(types or None)) as events:
            async for event in events:
                show_event(followed(event))
    except SubscriptionRefused as refused:
        raise LiveRefused("key refused" if refused.status in _KEY_REFUSED else "refused", str(refused)) from None


class ReadService:
    """A source of live events that notices when the server at its address is another service."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._is_known = False

    async def listen(self, types: frozenset[str] | None, after: int | None) -> AsyncGenerator[Frame, None]:
        """Give the frames of one connection. Raises LiveRefused unless the read service has answered here before."""
        async with aclosing(self._source.listen(types, after)) as frames:
            try:
                async for frame in frames:
                    self._is_known = True
                    yield frame
            except Disconnected as disconnected:
                # once it was the read service, such an answer is a proxy's in front of one that restarts
                if self._is_known or not _ANOTHER_SERVICE.fullmatch(str(disconnected)):
                    raise
                raise LiveRefused(
                    "unexpected answer", f"{disconnected}; is this the URL of the read service?"
                ) from disconnected


def followed(event: LiveEvent) -> FollowedEvent:
    """Return the event in the form of one that is stored, so that both commands show the same."""
    own = set(LiveEvent.model_fields)
    properties = event.model_dump(mode="json", exclude_none=True, exclude=own)
    return FollowedEvent(
        **event.model_dump(include=own - {"service"}),
        source=event.service,
        properties=event.properties if isinstance(event, UnknownEvent) else properties,
    )


def _show_line(event: FollowedEvent) -> None:
    show(line_of(event))


def _show_json(event: FollowedEvent) -> None:
    show_json_text(event.model_dump_json())


def _say_gap(gap: Gap) -> None:
    say(f"events are missing here ({gap.reason or 'no reason given'})")


class _Notices(logging.Handler):
    """Says what the SDK logs, connections made and lost: each reason once until something else happens."""

    def __init__(self) -> None:
        super().__init__()
        self._last: object = None

    def emit(self, record: logging.LogRecord) -> None:
        """Say one."""
        # the first argument is the reason, the second how long the next wait is
        happened = record.msg, str(record.args[0]) if isinstance(record.args, tuple) and record.args else ""
        if happened != self._last:
            self._last = happened
            say(record.getMessage())


def _tell_notices() -> None:
    log = logging.getLogger("studyin_analytics")
    log.addHandler(_Notices())
    log.setLevel(logging.INFO)

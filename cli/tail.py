"""`analytics tail`: events as they come in, by the SDK's bus."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from studyin_analytics import EventBus, SubscriptionRefused
from studyin_analytics.live_frames import Gap
from studyin_analytics.schemas.live import LiveEvent, UnknownEvent

from cli.chosen_types import Types, parse_types
from cli.dev_file import DATA_DIR, DataDir
from cli.event_text import line_of
from cli.interrupt import unless_interrupted
from cli.target import ReadKey, ReadUrl, find_reader
from runtime.errors import DependencyUnavailable
from schemas.answers import StoredEvent
from schemas.event_types import EventType


class LiveRefused(DependencyUnavailable):
    """The read service does not let us follow, and trying again would not help."""

    dependency = "live events"


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
    said. Exit code 3 when it refuses the key.
    """
    target, wanted = find_reader(url, key, data_dir), parse_types(types)
    bus = EventBus(target.url, key=target.key, user_id=user)
    _tell_notices()
    asyncio.run(unless_interrupted(_follow(bus, wanted, _say_json if as_json else _line_writer())))


async def _follow(bus: EventBus, types: tuple[EventType, ...], show: Callable[[FollowedEvent], None]) -> None:
    bus.on_gap(_say_gap)
    try:
        async for event in bus.events(types or None):
            show(followed(event))
    except SubscriptionRefused as refused:
        raise LiveRefused("key refused", str(refused)) from None


def followed(event: LiveEvent) -> FollowedEvent:
    """Return the event in the form of one that is stored, so that both commands show the same."""
    own = set(LiveEvent.model_fields)
    properties = event.model_dump(mode="json", exclude_none=True, exclude=own)
    return FollowedEvent(
        **event.model_dump(include=own - {"service"}),
        source=event.service,
        properties=event.properties if isinstance(event, UnknownEvent) else properties,
    )


def _line_writer() -> Callable[[FollowedEvent], None]:
    console = Console(highlight=False, markup=False, soft_wrap=True)

    def show(event: FollowedEvent) -> None:
        console.print(line_of(event))

    return show


def _say_json(event: FollowedEvent) -> None:
    typer.echo(event.model_dump_json())


def _say(text: str) -> None:
    typer.echo(f"analytics: {text}", err=True)


def _say_gap(gap: Gap) -> None:
    _say(f"events are missing here ({gap.reason or 'no reason given'})")


class _Notices(logging.Handler):
    """Says what the SDK logs: connections made and lost."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say one."""
        _say(record.getMessage())


def _tell_notices() -> None:
    log = logging.getLogger("studyin_analytics")
    log.addHandler(_Notices())
    log.setLevel(logging.INFO)

"""`analytics tail`: events as they come in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console

from cli.chosen_types import Types, parse_types
from cli.dev_file import DATA_DIR, DataDir
from cli.event_text import line_of
from cli.interrupt import unless_interrupted
from cli.live_feed import LiveFeed, LiveMessage
from cli.target import ReadKey, ReadUrl, find_reader


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
    feed = LiveFeed(find_reader(url, key, data_dir), parse_types(types), user, on_notice=_say)
    asyncio.run(unless_interrupted(_follow(feed, _say_json if as_json else _line_writer())))


async def _follow(feed: LiveFeed, show: Callable[[LiveMessage], None]) -> None:
    async for event in feed.events():
        show(event)


def _line_writer() -> Callable[[LiveMessage], None]:
    console = Console(highlight=False, markup=False, soft_wrap=True)

    def show(event: LiveMessage) -> None:
        console.print(line_of(event))

    return show


def _say_json(event: LiveMessage) -> None:
    typer.echo(event.model_dump_json())


def _say(text: str) -> None:
    typer.echo(f"analytics: {text}", err=True)

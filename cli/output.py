"""Everything a command prints goes through this module.

It escapes control characters and invisible characters, within JSON as JSON escapes, and reads no text as markup. Text
from events therefore cannot control the terminal. `output_streams.py` handles the encoding of each stream.
"""

from __future__ import annotations

import errno
import json
import os
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, Final, NoReturn

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TimeRemainingColumn,
)
from rich.table import Column as TableColumn
from rich.table import Table
from rich.text import Text

from schemas.text.visible_text import visible, visible_json

_WHOLE: Final = TableColumn(no_wrap=True)

Line = str | Text
"""Plain text, or a result of `coloured` or `joined`."""


def say(*lines: str) -> None:
    """Write a message to standard error, its first line prefixed with `analytics: `."""
    note(f"analytics: {lines[0]}", *lines[1:])


def note(*lines: str) -> None:
    """Write lines to standard error without a prefix."""
    typer.echo("\n".join(map(visible, lines)), err=True)


def show(*lines: Line) -> None:
    """Write lines to standard output, in colour on a terminal."""
    for line in lines:
        if isinstance(line, Text):
            _console().print(line)
        else:
            typer.echo(visible(line))


def show_json(document: Any, *, indent: int | None = 2) -> None:
    """Write a JSON document to standard output, on one line if `indent` is None."""
    show_json_text(json.dumps(document, indent=indent))


def show_json_text(document: str) -> None:
    """Write a serialized JSON document to standard output."""
    typer.echo(visible_json(document))


def coloured(text: str, style: str = "") -> Text:
    """Return text in a rich style."""
    return Text(visible(text), style=style)


def joined(*parts: Line) -> Text:
    """Return the parts as one line."""
    return Text().join(part if isinstance(part, Text) else coloured(part) for part in parts)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    is_number: bool = False
    wraps: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table."""

    cells: Sequence[Line]
    style: str | None = None


def show_table(columns: Sequence[Column], rows: Iterable[Row], *, width: int | None = None) -> None:
    """Write a table to standard output. `width` is in columns; the default is the width of the terminal.

    A table with a width may exceed a narrow terminal: the terminal then wraps its lines, and no cell is cut off.
    """
    _console(width).print(_table(columns, rows))


def _table(columns: Sequence[Column], rows: Iterable[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(
            coloured(column.name),
            justify="right" if column.is_number else "left",
            no_wrap=column.is_number or not column.wraps,
        )
    for row in rows:
        table.add_row(*map(joined, row.cells), style=row.style)
    return table


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a view: lines, then a table."""

    lines: Sequence[Line] = ()
    columns: Sequence[Column] = ()
    rows: Sequence[Row] = ()


class View:
    """Shows sections in place of the ones before, or below them if standard output is no terminal."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, sections: Sequence[Section]) -> None:
        """Show these sections. Lines and cells that are too long for the terminal are cut off."""
        if self._live.console.is_terminal:
            self._live.update(_rendered(sections), refresh=True)
        else:
            self._live.console.print(_rendered(sections))


@contextmanager
def live_view() -> Iterator[View]:
    """Yield a view that fills the terminal during the block."""
    console = _Console(highlight=False, markup=False, emoji=False)
    with Live(console=console, screen=console.is_terminal, auto_refresh=False, redirect_stderr=False) as live:
        yield View(live)


def show_sections(sections: Sequence[Section], *, width: int | None = None) -> None:
    """Write sections to standard output. `width` is in columns; the default is the width of the terminal."""
    _Console(highlight=False, markup=False, emoji=False, width=width).print(_rendered(sections))


def _rendered(sections: Sequence[Section]) -> Group:
    parts: list[RenderableType] = []
    for section in sections:
        lines = [joined(line) for line in section.lines]
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        parts += lines
        if section.columns:
            parts.append(_table(section.columns, section.rows))
        parts.append(Text())
    return Group(*parts[:-1])


def ask(question: str) -> None:
    """Ask a yes-or-no question on standard error. Raises typer.Abort unless the answer is yes."""
    typer.confirm(visible(question), abort=True, err=True)


def counting_bar() -> Progress:
    """Return a progress bar on standard error that counts items."""
    columns = (_Description(_WHOLE), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=_messages())


def byte_bar() -> Progress:
    """Return a progress bar on standard error that shows a percentage and the `facts` field of its task."""
    columns = (_Description(_WHOLE), BarColumn(), TaskProgressColumn(), _Facts(_WHOLE), TimeRemainingColumn())
    return Progress(*columns, console=_messages())


class _Description(ProgressColumn):
    def render(self, task: Task) -> Text:
        return coloured(task.description)


class _Facts(ProgressColumn):
    def render(self, task: Task) -> Text:
        return coloured(task.fields["facts"])


def show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write the traceback of an unexpected error to standard error. For use as sys.excepthook."""
    note(*"".join(traceback.format_exception(kind, error, trace)).rstrip().split("\n"))


class _Console(Console):
    """Leaves a closed pipe to output_streams.py."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise BrokenPipeError."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


@cache
def _console(width: int | None = None) -> Console:
    return _Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=width)


def _messages() -> Console:
    return _Console(highlight=False, markup=False, emoji=False, soft_wrap=True, stderr=True)

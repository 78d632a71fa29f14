"""Everything a command prints goes through this module.

It escapes control characters and invisible characters, within JSON as JSON escapes, and reads no text as markup. Text
from events therefore cannot control the terminal. `output_streams.py` handles the encoding of each stream.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import IO, Any, Final, NoReturn

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
_UNLIMITED: Final = 1_000_000
"""Width of what is no terminal: programs such as grep need whole lines."""
_NO_CURSOR: Final = ("", "dumb", "unknown")
"""Values of TERM of terminals that print one line below the other."""

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

    A table with a width may exceed a narrow terminal: the terminal then wraps its lines, and no cell is cut off. Each
    row is one line, of any length, if standard output is no terminal.
    """
    _console(width if _is_terminal(sys.stdout) else None).print(_table(columns, rows))


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
    """Shows sections in place of the ones before, or below them where the cursor cannot move."""

    def __init__(self, console: Console, live: Live | None = None) -> None:
        self._console = console
        self._live = live

    def show(self, sections: Sequence[Section]) -> None:
        """Show these sections. Lines and cells that are too long for the terminal are cut off."""
        if self._live:
            self._live.update(_rendered(sections), refresh=True)
        else:
            self._console.print(_rendered(sections))
            self._console.print()


@contextmanager
def live_view() -> Iterator[View]:
    """Yield a view for the block. It fills the terminal, if standard output is one that can move the cursor."""
    console = _Console()
    if not console.moves_cursor:
        yield View(console)
        return
    with Live(console=console, screen=True, auto_refresh=False, redirect_stderr=False) as live:
        yield View(console, live)


def show_sections(sections: Sequence[Section], *, width: int | None = None) -> None:
    """Write sections to standard output. Lines and cells that are too long for `width` are cut off.

    `width` is in columns; the default is the width of the terminal.
    """
    _Console(width=width).print(_rendered(sections))


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
    """Fits a terminal; everything else gets whole lines. Leaves a closed pipe to output_streams.py."""

    def __init__(self, *, width: int | None = None, soft_wrap: bool = False, stderr: bool = False) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap, width=width, stderr=stderr)
        if width is None and not _is_terminal(self.file):
            self.width = _UNLIMITED

    @property
    def moves_cursor(self) -> bool:
        """Whether this is a terminal on which a text can take the place of another."""
        return _is_terminal(self.file) and os.environ.get("TERM", "").lower() not in _NO_CURSOR

    def on_broken_pipe(self) -> NoReturn:
        """Raise BrokenPipeError."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def _is_terminal(stream: IO[str] | None) -> bool:
    # not Console.is_terminal, which FORCE_COLOR makes true for a pipe
    return stream is not None and stream.isatty()


@cache
def _console(width: int | None = None) -> Console:
    return _Console(width=width, soft_wrap=True)


def _messages() -> Console:
    return _Console(soft_wrap=True, stderr=True)

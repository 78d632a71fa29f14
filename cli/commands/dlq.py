"""`analytics dlq`: lists, shows, retries and drops dead letters, the events that could not be stored."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

from cli.audited import audited
from cli.commands.dlq_retry import Outcome, retry_letters
from cli.database import open_database
from cli.interrupt import INTERRUPTED, run_unless_interrupted
from cli.local.dev_file import DATA_DIR, DataDir, resolve_settings
from cli.output import Column, Row, ask, say, show, show_json, show_table
from cli.time_options import parse_time
from runtime import failpoints
from runtime.clock import utc_now
from runtime.errors import ConfigurationError
from runtime.settings import Settings
from schemas.dead_letter import NotKept, learner_of, restore
from storage.dead_letters import Letter, LetterId, Selection, count_letters, drop_letters, read_letters

app = typer.Typer(no_args_is_help=True, help="Manage dead letters, the events that could not be stored.")

T = TypeVar("T")

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of dead letters, as `list` shows them.")]
Reason = Annotated[str | None, typer.Option(help="Only dead letters with this reason.")]
Since = Annotated[
    str | None, typer.Option(help="Only dead letters parked since this age or time: 90m, 24h, 7d, or a time (UTC).")
]
All = Annotated[bool, typer.Option("--all", help="All waiting dead letters.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing; report what would be done.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command("list")
def list_(
    reason: Reason = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of dead letters, oldest first.")] = 100,
    with_retried: Annotated[
        bool, typer.Option("--with-retried", help="Include dead letters that were retried.")
    ] = False,
    as_json: Json = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """List the waiting dead letters, oldest first."""
    selection = _selection(None, reason, since, with_retried=with_retried)
    count, letters = _run(_list_audited(resolve_settings(data_dir), selection, limit))
    if as_json:
        show_json({"count": count, "letters": [_facts(letter) for letter in letters]})
        return
    names = ("id", "parked", "reason", "detail", *(["retried"] if with_retried else []))
    rows = []
    for letter in letters:
        cells = [str(letter.id), f"{letter.parked_at:%Y-%m-%d %H:%M:%S}", letter.reason, letter.detail]
        if with_retried:
            cells.append(f"{letter.retried_at:%Y-%m-%d %H:%M:%S}" if letter.retried_at else "")
        rows.append(Row(cells))
    if rows:
        show_table([Column(name, wraps=name == "detail") for name in names], rows)
    say(f"{len(letters):,} of {count:,} dead letters")


@app.command("show")
def show_letter(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="Id of a dead letter, as `list` shows it.")],
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Print one dead letter as JSON, with the fields that were kept. Exit code 1 if it does not exist."""
    selection = _selection([letter_id], None, None, with_retried=True)
    _, letters = _run(_show(resolve_settings(data_dir), selection))
    if not letters:
        say(f"no dead letter {letter_id}; `analytics dlq list` shows the ids")
        raise typer.Exit(1)
    [letter] = letters
    try:
        restore(letter.payload)
        kept = True
    except NotKept:
        kept = False
    show_json(_facts(letter) | {"whole": kept, "payload": json.loads(letter.payload)})


@app.command()
def retry(
    ids: Ids = None,
    reason: Reason = None,
    since: Since = None,
    everything: All = False,
    dry_run: DryRun = False,
    as_json: Json = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Decode dead letters again and append their events to the stream. Each event still counts once.

    Dead letters that still cannot be decoded stay and are reported; the exit code is then 1.
    """
    selection = _required_selection(ids, reason, since, everything=everything)
    settings = resolve_settings(data_dir)
    failpoints.arm(settings.failpoint)
    outcome = _run(_retry(settings, selection, dry_run=dry_run))
    _print_outcome(outcome, as_json=as_json, dry_run=dry_run)
    missing = _report_missing(selection, outcome.selected)
    if missing or outcome.hopeless:
        raise typer.Exit(1)


@app.command()
def drop(
    ids: Ids = None,
    reason: Reason = None,
    since: Since = None,
    everything: All = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Delete dead letters permanently. The books still count their entries as dead-lettered."""
    selection = _required_selection(ids, reason, since, everything=everything)
    settings = resolve_settings(data_dir)
    count, _ = _run(_list(settings, selection, 0))
    if not (dry_run or yes) and count:
        if not sys.stdin.isatty():
            raise ConfigurationError("`dlq drop` deletes permanently; give --yes to confirm without a terminal")
        ask(f"Delete {count:,} dead letters permanently?")
    dropped = 0 if dry_run else _run(_drop(settings, selection))
    if as_json:
        show_json({"selected": count, "dropped": dropped, "dry_run": dry_run}, indent=None)
    say(f"would drop {count:,} dead letters" if dry_run else f"dropped {dropped:,} dead letters")
    if _report_missing(selection, count):
        raise typer.Exit(1)


def _required_selection(ids: list[str] | None, reason: str | None, since: str | None, *, everything: bool) -> Selection:
    """Return the selection of a command that changes data. Raises ConfigurationError when no option selects any."""
    if not (ids or reason or since or everything):
        raise ConfigurationError("no dead letters selected; give ids, --reason, --since or --all")
    return _selection(ids, reason, since)


def _selection(
    ids: list[str] | None, reason: str | None, since: str | None, *, with_retried: bool = False
) -> Selection:
    try:
        letters = tuple(map(LetterId.parse, dict.fromkeys(ids))) if ids else None
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    return Selection(letters, reason, parse_time("--since", since, utc_now()) if since else None, with_retried)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of the work. Raises typer.Exit after a signal."""
    result = asyncio.run(run_unless_interrupted(work))
    if result is None:
        say("interrupted; run the same command again to continue")
        raise typer.Exit(INTERRUPTED)
    return result


async def _list_audited(settings: Settings, selection: Selection, limit: int) -> tuple[int, list[Letter]]:
    async with audited(settings, "dlq list"):
        return await _list(settings, selection, limit)


async def _list(settings: Settings, selection: Selection, limit: int) -> tuple[int, list[Letter]]:
    async with open_database(settings, "analytics-dlq") as connection:
        return await count_letters(connection, selection), await read_letters(connection, selection, limit)


async def _show(settings: Settings, selection: Selection) -> tuple[int, list[Letter]]:
    async with audited(settings, "dlq show") as record_shown:
        count, letters = await _list(settings, selection, 1)
        await record_shown([learner for letter in letters if (learner := learner_of(letter.payload))])
        return count, letters


async def _retry(settings: Settings, selection: Selection, *, dry_run: bool) -> Outcome:
    async with audited(settings, "dlq retry --dry-run" if dry_run else "dlq retry"):
        return await retry_letters(settings, selection, utc_now(), dry_run=dry_run)


async def _drop(settings: Settings, selection: Selection) -> int:
    async with audited(settings, "dlq drop"), open_database(settings, "analytics-dlq") as connection:
        return await drop_letters(connection, selection)


def _report_missing(selection: Selection, found: int) -> int:
    """Return how many of the selected ids belong to no waiting dead letter, and report them."""
    missing = len(selection.ids) - found if selection.ids else 0
    if missing:
        say(f"{missing} of the ids belong to no waiting dead letter; `analytics dlq list` shows the ids")
    return missing


def _facts(letter: Letter) -> dict[str, Any]:
    return {
        "id": str(letter.id),
        "partition": letter.id.partition,
        "entry_id": letter.id.entry_id,
        "event_id": str(letter.event_id) if letter.event_id else None,
        "reason": letter.reason,
        "detail": letter.detail,
        "parked_at": letter.parked_at.isoformat(),
        "retried_at": letter.retried_at.isoformat() if letter.retried_at else None,
    }


def _print_outcome(outcome: Outcome, *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        counts = {"selected": outcome.selected, "retried": 0 if dry_run else outcome.possible}
        hopeless = [{"id": str(each.id), "reason": each.reason, "detail": each.detail} for each in outcome.hopeless]
        document = {**counts, "possible": outcome.possible, "hopeless": hopeless, "dry_run": dry_run}
        show_json(document)
    else:
        for each in outcome.hopeless:
            show(f"{each.id}  {each.reason}  {each.detail}")
    done = "can be retried" if dry_run else "retried"
    say(f"{outcome.possible:,} of {outcome.selected:,} dead letters {done}; {len(outcome.hopeless):,} stay")

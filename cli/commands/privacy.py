"""`analytics privacy`: the learner's rights, and what is stored where for how long."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

import typer

from cli.audited import audited
from cli.database import connect as connect_storage
from cli.event_options import parse_learner_id
from cli.local.dev_file import DATA_DIR, DataDir, settings_of
from cli.operator import current_operator
from cli.output import Column, Row, ask, note, show_json, show_json_text, show_table
from cli.time_options import parse_time
from dashboard.privacy.service import PrivacyService
from runtime.clock import utc_now
from runtime.settings import Settings
from schemas.privacy import ErasureReceipt
from storage.privacy.audit import AuditEntry, read_entries
from storage.privacy.holdings import Holding, Keeping, read_holdings
from stream.connection import connect as connect_stream

app = typer.Typer(no_args_is_help=True, help="What is held on learners: see it, remove it.")

_POLL_SECONDS: Final = 0.5
_SHOWN_OF_A_PSEUDONYM: Final = 12
_LOG_WIDTH: Final = 160

User = Annotated[str, typer.Argument(metavar="USER_ID", help="The learner's id, as services send it.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def erase(
    user_id: User,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until nothing is left.")] = True,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Remove a learner everywhere, for good, and print the receipt as JSON. Their events are kept out from now on.

    The maintenance process does it; workers must have read what waits in the stream before that can go.
    """
    parse_learner_id("USER_ID", user_id)
    if not yes:
        ask("remove everything that is held on this learner, for good?")
    receipt = asyncio.run(_erase(settings_of(data_dir), user_id, wait=wait))
    show_json_text(receipt.model_dump_json(indent=2))


@app.command()
def export(user_id: User, data_dir: DataDir = DATA_DIR) -> None:
    """Print everything that is held on a learner, as one JSON document."""
    asyncio.run(_export(settings_of(data_dir), user_id))


@app.command()
def audit(as_json: Json = False, data_dir: DataDir = DATA_DIR) -> None:
    """Show what is stored where, about whom, and for how long. Exit code 1 when anything stayed longer."""
    holdings = asyncio.run(_audit(settings_of(data_dir)))
    if as_json:
        rows = [asdict(one) | {"kept": one.kept.total_seconds() if one.kept else None} for one in holdings]
        show_json({"overdue": sum(one.overdue for one in holdings), "holdings": rows})
    else:
        _print(holdings)
    if any(one.overdue for one in holdings):
        raise typer.Exit(1)


@app.command()
def log(
    user_id: Annotated[
        str | None, typer.Option(help="Only what was about this learner, or showed their events.")
    ] = None,
    since: Annotated[str, typer.Option(help="Only since: 90m, 24h, 7d, or a time (UTC).")] = "7d",
    limit: Annotated[int, typer.Option(min=1, help="Most entries shown, newest first.")] = 100,
    as_json: Json = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Show who read or changed what, newest first: the audit log."""
    start = parse_time("--since", since, utc_now())
    entries = asyncio.run(_log(settings_of(data_dir), user_id, start, limit))
    if len(entries) == limit:
        note(f"these are the newest {limit}; there may be more: --limit shows them")
    if as_json:
        rows = [
            asdict(one)
            | {
                "at": one.at.isoformat(),
                "subject": one.subject.hex() if one.subject else None,
                # of how many learners: who they are is told when one is asked for
                "shown": len(one.shown),
            }
            for one in entries
        ]
        show_json(rows)
        return
    columns = [Column(name, wraps=False) for name in ("at", "actor", "action", "about", "span", "outcome")]
    show_table(columns, map(_row, entries), width=_LOG_WIDTH)


def _row(entry: AuditEntry) -> Row:
    span = " ".join(f"{name}={value}" for name, value in (entry.span or {}).items())
    about = entry.subject.hex()[:_SHOWN_OF_A_PSEUDONYM] if entry.subject else ""
    if entry.shown:
        about = f"{about} {len(entry.shown)} shown".strip()
    at = f"{entry.at:%Y-%m-%d %H:%M:%S}"
    return Row([at, _short(entry.actor), entry.action, about, span, entry.outcome])


def _short(actor: str) -> str:
    kind, _, name = actor.partition(":")
    return f"{kind}:{name[:_SHOWN_OF_A_PSEUDONYM]}" if kind == "learner" else actor


async def _log(settings: Settings, user_id: str | None, since: datetime, limit: int) -> list[AuditEntry]:
    pseudonymizer = settings.pseudonymizer
    subjects = None if user_id is None else pseudonymizer().all_pseudonyms(parse_learner_id("--user-id", user_id))
    async with audited(settings, "privacy log", subject=subjects[0] if subjects else None):
        connection = await connect_storage(settings.database_dsn, application_name="analytics-privacy")
        try:
            return await read_entries(connection, since, subjects, limit)
        finally:
            await connection.close()


async def _erase(settings: Settings, user_id: str, *, wait: bool) -> ErasureReceipt:
    pseudonyms = settings.pseudonymizer().all_pseudonyms(parse_learner_id("USER_ID", user_id))
    async with audited(settings, "privacy erase", subject=pseudonyms[0]), _desk(settings) as desk:
        receipt = await desk.erase(pseudonyms, current_operator())
        note(f"erasure {receipt.job_id} is requested")
        while wait and receipt.state != "done":
            await asyncio.sleep(_POLL_SECONDS)
            receipt = await _receipt(desk, receipt.job_id)
        return receipt


async def _receipt(desk: PrivacyService, job_id: UUID) -> ErasureReceipt:
    receipt = await desk.receipt(job_id)
    assert receipt is not None
    return receipt


async def _export(settings: Settings, user_id: str) -> None:
    pseudonyms = settings.pseudonymizer().all_pseudonyms(parse_learner_id("USER_ID", user_id))
    async with (
        audited(settings, "privacy export", subject=pseudonyms[0]),
        _desk(settings) as desk,
        contextlib.aclosing(await desk.export(pseudonyms)) as pieces,
    ):
        async for piece in pieces:
            show_json_text(piece.decode())


@contextlib.asynccontextmanager
async def _desk(settings: Settings) -> AsyncIterator[PrivacyService]:
    redis = connect_stream(settings)
    try:
        yield PrivacyService(settings.database_dsn, redis, range(settings.stream_partitions), utc_now)
    finally:
        await redis.aclose()


async def _audit(settings: Settings) -> list[Holding]:
    connection = await connect_storage(settings.database_dsn, application_name="analytics-privacy")
    try:
        keeping = Keeping(
            raw=settings.raw_retention,
            system_metrics=settings.system_metrics_retention,
            stream=settings.event_retention,
            audit=settings.audit_retention,
        )
        return await read_holdings(connection, keeping, utc_now())
    finally:
        await connection.close()


def _print(holdings: list[Holding]) -> None:
    columns = [
        *(Column(name) for name in ("table", "about", "kept")),
        *(Column(name, is_number=True) for name in ("rows", "overdue")),
    ]
    rows = []
    for one in holdings:
        kept = f"{one.kept // timedelta(days=1)} days" if one.kept else "for ever"
        cells = [one.table, one.about, kept, f"{one.rows:,}", f"{one.overdue:,}"]
        rows.append(Row(cells, style="red" if one.overdue else None))
    show_table(columns, rows)

"""`analytics privacy`: exports and erases the data of a learner, and shows retention and the audit log."""

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
from cli.database import open_database
from cli.event_options import parse_learner_id
from cli.local.dev_file import DATA_DIR, DataDir, resolve_settings
from cli.operator import current_operator
from cli.output import Column, Row, ask, note, show_json, show_json_text, show_table
from cli.time_options import parse_time
from dashboard.privacy.service import PrivacyService
from runtime.clock import utc_now
from runtime.settings import Settings
from schemas.answers.privacy import ErasureReceipt
from storage.privacy.audit import AuditEntry, read_entries
from storage.privacy.holdings import Holding, Retentions, read_holdings
from stream.server.connection import connect as connect_stream

app = typer.Typer(no_args_is_help=True, help="Export or erase the data of a learner; show retention and the audit log.")

_POLL_SECONDS: Final = 0.5
_SHOWN_OF_A_PSEUDONYM: Final = 12
_LOG_WIDTH: Final = 160

User = Annotated[str, typer.Argument(metavar="USER_ID", help="Id of the learner, as services send it.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def erase(
    user_id: User,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the erasure is complete.")] = True,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Erase a learner everywhere, permanently, and print the receipt as JSON. Their later events are suppressed.

    The maintenance process erases the data. The erasure completes after workers have read the learner's entries in the
    stream.
    """
    parse_learner_id("USER_ID", user_id)
    if not yes:
        ask("Erase all data of this learner permanently?")
    receipt = asyncio.run(_erase(resolve_settings(data_dir), user_id, wait=wait))
    show_json_text(receipt.model_dump_json(indent=2))


@app.command()
def export(user_id: User, data_dir: DataDir = DATA_DIR) -> None:
    """Print all data of a learner as one JSON document."""
    asyncio.run(_export(resolve_settings(data_dir), user_id))


@app.command()
def audit(as_json: Json = False, data_dir: DataDir = DATA_DIR) -> None:
    """Show each table with its retention and overdue rows. Exit code 1 when any row is overdue."""
    holdings = asyncio.run(_audit(resolve_settings(data_dir)))
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
        str | None, typer.Option(help="Only entries about this learner, or that showed their events.")
    ] = None,
    since: Annotated[
        str, typer.Option(help="Only entries since this age or time: 90m, 24h, 7d, or a time (UTC).")
    ] = "7d",
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of entries, newest first.")] = 100,
    as_json: Json = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Show the audit log, newest first: who read or changed what."""
    start = parse_time("--since", since, utc_now())
    entries = asyncio.run(_log(resolve_settings(data_dir), user_id, start, limit))
    if len(entries) == limit:
        note(f"these are the newest {limit} entries; there may be more: raise --limit to show them")
    if as_json:
        rows = [
            asdict(one)
            | {
                "at": one.at.isoformat(),
                "subject": one.subject.hex() if one.subject else None,
                # only how many learners: --user-id filters by one of them
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
    async with (
        audited(settings, "privacy log", subject=subjects[0] if subjects else None),
        open_database(settings, "analytics-privacy") as connection,
    ):
        return await read_entries(connection, since, subjects, limit)


async def _erase(settings: Settings, user_id: str, *, wait: bool) -> ErasureReceipt:
    pseudonyms = settings.pseudonymizer().all_pseudonyms(parse_learner_id("USER_ID", user_id))
    async with audited(settings, "privacy erase", subject=pseudonyms[0]), _service(settings) as service:
        receipt = await service.erase(pseudonyms, current_operator())
        note(f"erasure {receipt.job_id} is requested")
        while wait and receipt.state != "done":
            await asyncio.sleep(_POLL_SECONDS)
            receipt = await _receipt(service, receipt.job_id)
        return receipt


async def _receipt(service: PrivacyService, job_id: UUID) -> ErasureReceipt:
    receipt = await service.receipt(job_id)
    assert receipt is not None
    return receipt


async def _export(settings: Settings, user_id: str) -> None:
    pseudonyms = settings.pseudonymizer().all_pseudonyms(parse_learner_id("USER_ID", user_id))
    async with (
        audited(settings, "privacy export", subject=pseudonyms[0]),
        _service(settings) as service,
        contextlib.aclosing(await service.export(pseudonyms)) as pieces,
    ):
        async for piece in pieces:
            show_json_text(piece.decode())


@contextlib.asynccontextmanager
async def _service(settings: Settings) -> AsyncIterator[PrivacyService]:
    async with contextlib.aclosing(connect_stream(settings)) as redis:
        yield PrivacyService(settings.database_dsn, redis, range(settings.stream_partitions), utc_now)


async def _audit(settings: Settings) -> list[Holding]:
    retentions = Retentions(
        raw=settings.raw_retention,
        system_metrics=settings.system_metrics_retention,
        stream=settings.event_retention,
        audit=settings.audit_retention,
    )
    async with open_database(settings, "analytics-privacy") as connection:
        return await read_holdings(connection, retentions, utc_now())


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

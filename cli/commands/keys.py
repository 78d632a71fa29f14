"""`analytics keys`: issues, lists and revokes the keys of services."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Final, get_args

import typer
from pydantic import ValidationError

from cli.audited import audited
from cli.commands.pseudonym_rotation import rotate_pseudonym
from cli.database import connect as connect_storage
from cli.local.dev_file import DATA_DIR, DataDir, settings_of
from cli.output import Column, Row, note, show, show_json, show_table
from runtime.clock import utc_now
from runtime.errors import ConfigurationError, StreamUnavailable
from runtime.secret_strength import require_strong
from runtime.settings import Settings
from schemas.access import IssuedKey, Scope
from storage.api_keys import KeyRecord, add_key, keys_in_force, list_keys, revoke_key
from storage.database.pool import Connection
from stream.api_keys import publish_keys
from stream.connection import connect as connect_stream
from web import api_key_format

app = typer.Typer(no_args_is_help=True, help="Issue, list and revoke API keys; rotate the key of pseudonyms.")
app.command()(rotate_pseudonym)

_SCOPES: Final = ", ".join(get_args(Scope))

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def create(
    source: Annotated[str, typer.Option(help="Name of the service; stored with its events.")],
    scope: Annotated[list[str], typer.Option(metavar="SCOPE", help=f"{_SCOPES}; again for more.")],
    expires_in_days: Annotated[int | None, typer.Option(min=1, help="Days until it ends by itself.")] = None,
    rate_limit_per_second: Annotated[float | None, typer.Option(help="Most events a second.")] = None,
    rate_limit_burst: Annotated[int | None, typer.Option(help="Most events at once.")] = None,
    as_json: Json = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Issue a key and print it: it is shown this once, and stored nowhere. It works within seconds."""
    settings = settings_of(data_dir)
    key = api_key_format.mint()
    rights = {
        "source": source,
        "scopes": scope,
        "rate_limit_per_second": rate_limit_per_second,
        "rate_limit_burst": rate_limit_burst,
        "expires_at": None if expires_in_days is None else utc_now() + timedelta(days=expires_in_days),
    }
    issued = _issued(key, settings, rights)
    asyncio.run(_create(settings, issued))
    if as_json:
        show_json({"key_id": issued.key_id, "key": key}, indent=None)
    else:
        note(f"key {issued.key_id} of {source}; it is not shown again:")
        show(key)


@app.command("list")
def list_issued(as_json: Json = False, data_dir: DataDir = DATA_DIR) -> None:
    """Show every key ever issued: whose it is, what it may do, whether it is in force."""
    records = asyncio.run(_list(settings_of(data_dir)))
    now = utc_now()
    if as_json:
        show_json([_facts(record, now) for record in records])
        return
    rows = []
    for record in records:
        key = record.key
        created, expires = (str(at.date()) if at else "" for at in (record.created_at, key.expires_at))
        scopes = " ".join(sorted(key.scopes))
        rows.append(Row([key.key_id, key.source, scopes, created, expires, _state(record, now)]))
    show_table([Column(name) for name in ("key", "source", "scopes", "created", "expires", "state")], rows)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="KEY_ID")], data_dir: DataDir = DATA_DIR) -> None:
    """End a key for good, everywhere within seconds. Exit code 1 when there is none in force with this id."""
    if not asyncio.run(_revoke(settings_of(data_dir), key_id)):
        note("there is no key in force with this id; see `analytics keys list`")
        raise typer.Exit(1)
    note(f"key {key_id} is revoked")


def _issued(key: str, settings: Settings, rights: Mapping[str, object]) -> IssuedKey:
    if settings.api_key_secret is None:
        raise ConfigurationError("ANALYTICS_API_KEY_SECRET is not set; make one with `openssl rand -hex 32`")
    secret = settings.api_key_secret.get_secret_value().encode()
    require_strong("ANALYTICS_API_KEY_SECRET", secret, dev=settings.environment == "dev")
    key_id = api_key_format.key_id(key)
    assert key_id is not None
    try:
        facts = {"key_id": key_id, "digest": api_key_format.digest(key, secret).hex()}
        return IssuedKey.model_validate(facts | dict(rights))
    except ValidationError as error:
        faults = "; ".join(" ".join(map(str, (*fault["loc"], fault["msg"]))) for fault in error.errors())
        raise ConfigurationError(f"no key is issued: {faults}") from None


async def _create(settings: Settings, key: IssuedKey) -> None:
    async with audited(settings, f"keys create {key.key_id}"):
        await _add(settings, key)


async def _add(settings: Settings, key: IssuedKey) -> None:
    connection = await connect_storage(settings.database_dsn, application_name="analytics-keys")
    try:
        await add_key(connection, key)
        await _publish(settings, connection)
    finally:
        await connection.close()


async def _list(settings: Settings) -> list[KeyRecord]:
    connection = await connect_storage(settings.database_dsn, application_name="analytics-keys")
    try:
        return await list_keys(connection)
    finally:
        await connection.close()


async def _revoke(settings: Settings, key_id: str) -> bool:
    # what is no id may be anything, the key itself too
    async with audited(settings, f"keys revoke {key_id}" if api_key_format.is_id(key_id) else "keys revoke"):
        return await _end(settings, key_id)


async def _end(settings: Settings, key_id: str) -> bool:
    connection = await connect_storage(settings.database_dsn, application_name="analytics-keys")
    try:
        revoked = await revoke_key(connection, key_id)
        await _publish(settings, connection)
        return revoked
    finally:
        await connection.close()


async def _publish(settings: Settings, connection: Connection) -> None:
    redis = connect_stream(settings)
    try:
        await publish_keys(redis, await keys_in_force(connection))
    except StreamUnavailable as error:
        note(f"it takes effect once Redis is back and maintenance runs: {error}")
    finally:
        await redis.aclose()


def _facts(record: KeyRecord, now: datetime) -> dict[str, object]:
    key = record.key
    return {
        "key_id": key.key_id,
        "source": key.source,
        "scopes": sorted(key.scopes),
        "created_at": record.created_at.isoformat(timespec="seconds"),
        "expires_at": key.expires_at.isoformat(timespec="seconds") if key.expires_at else None,
        "state": _state(record, now),
    }


def _state(record: KeyRecord, now: datetime) -> str:
    if record.revoked_at:
        return "revoked"
    return "expired" if record.key.expires_at and record.key.expires_at <= now else "in force"

"""`analytics keys`: issues, lists and revokes API keys."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Annotated, Final, get_args

import typer
from pydantic import ValidationError

from cli.audited import audited
from cli.commands.pseudonym_rotation import rotate_pseudonym
from cli.database import open_database
from cli.local.dev_file import DATA_DIR, DataDir, resolve_settings
from cli.output import Column, Row, note, show, show_json, show_table
from runtime.clock import utc_now
from runtime.errors import ConfigurationError, StreamUnavailable
from runtime.setting_values.secret_strength import require_strong
from runtime.settings import Settings
from schemas.access import IssuedKey, Scope
from storage.api_keys import KeyRecord, add_key, keys_in_force, list_keys, revoke_key
from storage.database.pool import Connection
from stream.registry.api_keys import publish_keys
from stream.server.connection import connect as connect_stream
from web import api_key_format

app = typer.Typer(no_args_is_help=True, help="Issue, list and revoke API keys; rotate the pseudonym key.")
app.command()(rotate_pseudonym)

_CONNECTION: Final = "analytics-keys"
_SCOPES: Final = ", ".join(get_args(Scope))

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def create(
    source: Annotated[str, typer.Option(help="Name of the service. It is stored with its events.")],
    scope: Annotated[list[str], typer.Option(metavar="SCOPE", help=f"Scope of the key: {_SCOPES}. Repeatable.")],
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, help="Days until the key expires. Default: never.")
    ] = None,
    rate_limit_per_second: Annotated[float | None, typer.Option(help="Maximum events per second.")] = None,
    rate_limit_burst: Annotated[int | None, typer.Option(help="Maximum events in a burst.")] = None,
    as_json: Json = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Issue an API key and print it. It is printed only once and not stored; services accept it within seconds."""
    settings = resolve_settings(data_dir)
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
        note(f"API key {issued.key_id} of {source}; it is not shown again:")
        show(key)


@app.command("list")
def list_issued(as_json: Json = False, data_dir: DataDir = DATA_DIR) -> None:
    """List all issued API keys with their source, scopes and state."""
    records = asyncio.run(_list(resolve_settings(data_dir)))
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
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="Id of the key, as `list` shows it.")],
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Revoke an API key permanently. All services reject it within seconds. Exit code 1 if no such key is in force."""
    if not asyncio.run(_revoke(resolve_settings(data_dir), key_id)):
        note("no API key with this id is in force; `analytics keys list` shows the ids")
        raise typer.Exit(1)
    note(f"API key {key_id} is revoked")


def _issued(key: str, settings: Settings, rights: Mapping[str, object]) -> IssuedKey:
    if settings.api_key_secret is None:
        raise ConfigurationError("ANALYTICS_API_KEY_SECRET is not set; generate one with `openssl rand -hex 32`")
    secret = settings.api_key_secret.get_secret_value().encode()
    require_strong("ANALYTICS_API_KEY_SECRET", secret, dev=settings.environment == "dev")
    key_id = api_key_format.key_id(key)
    assert key_id is not None
    try:
        facts = {"key_id": key_id, "digest": api_key_format.digest(key, secret).hex()}
        return IssuedKey.model_validate(facts | dict(rights))
    except ValidationError as error:
        faults = "; ".join(" ".join(map(str, (*fault["loc"], fault["msg"]))) for fault in error.errors())
        raise ConfigurationError(f"the API key is not issued: {faults}") from None


async def _create(settings: Settings, key: IssuedKey) -> None:
    async with audited(settings, f"keys create {key.key_id}"), open_database(settings, _CONNECTION) as connection:
        await add_key(connection, key)
        await _publish(settings, connection)


async def _list(settings: Settings) -> list[KeyRecord]:
    async with open_database(settings, _CONNECTION) as connection:
        return await list_keys(connection)


async def _revoke(settings: Settings, key_id: str) -> bool:
    # an argument that is not an id may be the key itself, which must not be recorded
    action = f"keys revoke {key_id}" if api_key_format.is_id(key_id) else "keys revoke"
    async with audited(settings, action), open_database(settings, _CONNECTION) as connection:
        revoked = await revoke_key(connection, key_id)
        await _publish(settings, connection)
        return revoked


async def _publish(settings: Settings, connection: Connection) -> None:
    async with aclosing(connect_stream(settings)) as redis:
        try:
            await publish_keys(redis, await keys_in_force(connection))
        except StreamUnavailable as error:
            note(f"the change takes effect when Redis is reachable again and maintenance runs: {error}")


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

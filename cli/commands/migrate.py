"""`analytics migrate`: the database's schema, up, down and where it is."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

from cli.local.dev_file import DATA_DIR, DataDir, settings_of
from cli.output import ask, note, show, show_json
from runtime.errors import ConfigurationError
from storage.database.failures import translated_errors

app = typer.Typer(no_args_is_help=True, help="Bring the database's schema up, down, or say where it is.")

_SHORTEST_PASSWORD = 16

T = TypeVar("T")

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def up(
    revision: Annotated[str, typer.Argument(help="Revision to reach.")] = "head", data_dir: DataDir = DATA_DIR
) -> None:
    """Migrate up; a database that is there already stays as it is."""
    from storage.database.migrate import upgrade
    from storage.database.revision import current_revision

    url = settings_of(data_dir).database_dsn
    _run(upgrade(url, revision))
    note(f"at revision {_run(current_revision(url))}")


@app.command()
def down(
    revision: Annotated[str, typer.Argument(help="Revision to go back to; `base` is an empty database.")],
    yes: Yes = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Migrate down. Drops data."""
    from storage.database.migrate import downgrade
    from storage.database.revision import current_revision

    url = settings_of(data_dir).database_dsn
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigurationError("`migrate down` drops data; give --yes to do it without a terminal")
        ask(f"Go back to {revision} and drop what newer revisions hold?")
    _run(downgrade(url, revision))
    note(f"at revision {_run(current_revision(url)) or 'base'}")


@app.command()
def logins(data_dir: DataDir = DATA_DIR) -> None:
    """Make the logins of workers, read service and maintenance, or give them new passwords.

    The passwords are read from POSTGRES_WRITER_PASSWORD, POSTGRES_READER_PASSWORD and POSTGRES_MAINTENANCE_PASSWORD.
    """
    from cli.local.process_logins import postgres_password_variable
    from storage.database.roles import ROLES, login_of, make_logins

    passwords = {}
    for role in ROLES:
        name = postgres_password_variable(role)
        password = os.environ.get(name, "")
        if len(password) < _SHORTEST_PASSWORD:
            raise ConfigurationError(f"{name} needs at least {_SHORTEST_PASSWORD} characters")
        passwords[role] = password
    _run(make_logins(settings_of(data_dir).database_dsn, passwords))
    for role in ROLES:
        note(f"{login_of(role)} may log in")


@app.command()
def status(as_json: Json = False, data_dir: DataDir = DATA_DIR) -> None:
    """Say which revision the database is at; exit code 1 when it is not the newest."""
    from storage.database.revision import current_revision, head_revision

    current = _run(current_revision(settings_of(data_dir).database_dsn))
    head = head_revision()
    if as_json:
        show_json({"current": current, "head": head, "up_to_date": current == head}, indent=None)
    else:
        show(f"{current or 'never migrated'} (newest: {head})")
    if current != head:
        raise typer.Exit(1)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Return what the work returns. Raises StorageUnavailable, and ConfigurationError for an unknown revision."""
    with translated_errors():
        return asyncio.run(work)

"""`analytics migrate`: migrates the database schema, and creates the logins of the processes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

from cli.local.dev_file import DATA_DIR, DataDir, resolve_settings
from cli.output import ask, note, show, show_json
from runtime.errors import ConfigurationError
from storage.database.failures import translated_errors

app = typer.Typer(no_args_is_help=True, help="Migrate the database schema, show its revision, create logins.")

_MIN_PASSWORD_CHARACTERS = 16

T = TypeVar("T")

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def up(
    revision: Annotated[str, typer.Argument(help="Revision to migrate to.")] = "head", data_dir: DataDir = DATA_DIR
) -> None:
    """Migrate up. Does nothing when the database is at the revision already."""
    from storage.database.migrate import upgrade
    from storage.database.revision import current_revision

    url = resolve_settings(data_dir).database_dsn
    _run(upgrade(url, revision))
    note(f"the database is at revision {_run(current_revision(url))}")


@app.command()
def down(
    revision: Annotated[str, typer.Argument(help="Revision to migrate back to; `base` is an empty database.")],
    yes: Yes = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Migrate down. Deletes the data that newer revisions hold."""
    from storage.database.migrate import downgrade
    from storage.database.revision import current_revision

    url = resolve_settings(data_dir).database_dsn
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigurationError("`migrate down` deletes data; give --yes to confirm without a terminal")
        ask(f"Migrate down to {revision} and delete the data that newer revisions hold?")
    _run(downgrade(url, revision))
    note(f"the database is at revision {_run(current_revision(url)) or 'base'}")


@app.command()
def logins(data_dir: DataDir = DATA_DIR) -> None:
    """Create the logins of workers, read service and maintenance, or change their passwords.

    Reads the passwords from POSTGRES_WRITER_PASSWORD, POSTGRES_READER_PASSWORD and POSTGRES_MAINTENANCE_PASSWORD.
    """
    from cli.local.process_logins import postgres_password_variable
    from storage.database.roles import ROLES, login_of, make_logins

    passwords = {}
    for role in ROLES:
        name = postgres_password_variable(role)
        password = os.environ.get(name, "")
        if len(password) < _MIN_PASSWORD_CHARACTERS:
            raise ConfigurationError(f"{name} must have at least {_MIN_PASSWORD_CHARACTERS} characters")
        passwords[role] = password
    _run(make_logins(resolve_settings(data_dir).database_dsn, passwords))
    for role in ROLES:
        note(f"{login_of(role)} can log in")


@app.command()
def status(as_json: Json = False, data_dir: DataDir = DATA_DIR) -> None:
    """Show the revision of the database. Exit code 1 when it is not the newest."""
    from storage.database.revision import current_revision, head_revision

    current = _run(current_revision(resolve_settings(data_dir).database_dsn))
    head = head_revision()
    if as_json:
        show_json({"current": current, "head": head, "up_to_date": current == head}, indent=None)
    else:
        show(f"{current or 'never migrated'} (newest: {head})")
    if current != head:
        raise typer.Exit(1)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of the work. Raises StorageUnavailable, and ConfigurationError for an unknown revision."""
    with translated_errors():
        return asyncio.run(work)

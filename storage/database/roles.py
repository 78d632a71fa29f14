"""The database logins of the processes. Each has the rights of one group role, granted by migrations, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal
from urllib.parse import quote, urlsplit

import asyncpg

from storage.database.failures import translated_errors
from storage.database.pool import connect

Role = Literal["writer", "reader", "maintenance"]
ROLES: Final[tuple[Role, ...]] = ("writer", "reader", "maintenance")
"""Roles of workers, the read service and maintenance. Ingest uses none; operators migrate and repair as the owner."""

_WITH_STAGES: Final[tuple[Role, ...]] = ("writer", "maintenance")
"""Roles that use temporary tables: workers for staged batches, maintenance for events that are removed."""


def group_of(role: Role) -> str:
    """Return the group role that has the rights."""
    return f"analytics_{role}"


def login_of(role: Role) -> str:
    """Return the login that is a member of the group role."""
    return f"analytics_{role}_login"


async def make_logins(owner_url: str, passwords: Mapping[Role, str]) -> dict[Role, str]:
    """Create each login or change its password; return the URL of each. The database must be migrated.

    Afterwards only the roles that need them and the owner can create temporary tables in the database. Raises
    StorageUnavailable.
    """
    with translated_errors():
        connection = await connect(owner_url, application_name="analytics-migrate")
        try:
            for role, password in passwords.items():
                login = login_of(role)
                exists = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", login)
                # CREATE and ALTER ROLE take no parameters; %L quotes
                statement = await connection.fetchval(
                    "SELECT format('%s ROLE %I LOGIN PASSWORD %L', $1::text, $2::text, $3::text)",
                    "ALTER" if exists else "CREATE",
                    login,
                    password,
                )
                await connection.execute(statement)
                await connection.execute(f"GRANT {group_of(role)} TO {login}")
            await _keep_temporary_tables_to(connection, (group_of(role) for role in _WITH_STAGES))
        finally:
            await connection.close()
    return {role: login_url(owner_url, role, password) for role, password in passwords.items()}


async def _keep_temporary_tables_to(connection: asyncpg.Connection, groups: Iterable[str]) -> None:
    # a right on the database itself, which a dump of its content does not include
    database = await connection.fetchval("SELECT quote_ident(current_database())")
    await connection.execute(f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
    await connection.execute(f"GRANT TEMPORARY ON DATABASE {database} TO {', '.join(groups)}")


def login_url(owner_url: str, role: Role, password: str) -> str:
    """Return the URL of the owner's database for a login."""
    address = urlsplit(owner_url)
    place = address.netloc.rpartition("@")[2]
    return address._replace(netloc=f"{login_of(role)}:{quote(password, safe='')}@{place}").geturl()

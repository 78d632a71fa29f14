"""Logins of the processes of `analytics up` on servers that the caller provides.

A process has its own login if its password is set, in the variables of deploy/.env. Otherwise it shares the login of
REDIS_URL or DATABASE_URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from storage.database.roles import ROLES, Role, login_of, make_logins
from stream.server.permissions import RULES

_LOGIN_OPTIONS: Final = frozenset({"user", "username", "password", "passfile"})
"""Query parameters of a URL that override the login before the host."""


def redis_password_variable(user: str) -> str:
    """Return the name of the variable with the password of a Redis user."""
    return f"REDIS_{user.upper()}_PASSWORD"


def postgres_password_variable(role: Role) -> str:
    """Return the name of the variable with the password of a Postgres login."""
    return f"POSTGRES_{role.upper()}_PASSWORD"


def resolve_redis_urls(url: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the URL of each Redis user. The users must exist on the server, with the rules of `RULES`."""
    passwords = {user: environment.get(redis_password_variable(user)) for user in RULES}
    return {user: _logged_in(url, user, password) if password else url for user, password in passwords.items()}


async def create_database_logins(url: str, environment: Mapping[str, str]) -> dict[Role, str]:
    """Return the URL of each role. Creates the logins as `migrate logins` does. Raises StorageUnavailable."""
    found = {role: environment.get(postgres_password_variable(role)) for role in ROLES}
    passwords = {role: password for role, password in found.items() if password}
    if passwords:
        await make_logins(url, passwords)
    own = {role: _logged_in(url, login_of(role), password) for role, password in passwords.items()}
    return {role: own.get(role, url) for role in ROLES}


def find_missing_passwords(environment: Mapping[str, str], *, redis: bool, postgres: bool) -> list[str]:
    """Return the unset password variables of the servers given; their processes share the operator's login."""
    names = [
        *(redis_password_variable(user) for user in RULES if redis),
        *(postgres_password_variable(role) for role in ROLES if postgres),
    ]
    return [name for name in names if not environment.get(name)]


def _logged_in(url: str, login: str, password: str) -> str:
    address = urlsplit(url)
    options = [one for one in parse_qsl(address.query, keep_blank_values=True) if one[0] not in _LOGIN_OPTIONS]
    host = address.netloc.rpartition("@")[2]
    named = address._replace(netloc=f"{login}:{quote(password, safe='')}@{host}", query=urlencode(options))
    return named.geturl()

"""Under which login each process of `analytics up` finds servers that the caller named.

Its own where its password is given, in the variables of deploy/.env; else that of REDIS_URL or DATABASE_URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from storage.database.roles import ROLES, Role, login_of, make_logins
from stream.permissions import RULES

_LOGIN_OPTIONS: Final = frozenset({"user", "username", "password", "passfile"})
"""Of a URL's query: as good as what stands before the host."""


def redis_password_variable(user: str) -> str:
    """Return the variable with the password of a user of Redis."""
    return f"REDIS_{user.upper()}_PASSWORD"


def postgres_password_variable(role: Role) -> str:
    """Return the variable with the password of a login of Postgres."""
    return f"POSTGRES_{role.upper()}_PASSWORD"


def redis_urls(url: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the URL for each user of Redis. The users are on the server already, with the rules of `RULES`."""
    passwords = {user: environment.get(redis_password_variable(user)) for user in RULES}
    return {user: _logged_in(url, user, password) if password else url for user, password in passwords.items()}


async def database_urls(url: str, environment: Mapping[str, str]) -> dict[Role, str]:
    """Return the URL for each role, its login made as `migrate logins` does. Raises StorageUnavailable."""
    found = {role: environment.get(postgres_password_variable(role)) for role in ROLES}
    passwords = {role: password for role, password in found.items() if password}
    if passwords:
        await make_logins(url, passwords)
    own = {role: _logged_in(url, login_of(role), password) for role, password in passwords.items()}
    return {role: own.get(role, url) for role in ROLES}


def missing_passwords(environment: Mapping[str, str], *, redis: bool, postgres: bool) -> list[str]:
    """Return the variables without which processes share the operator's login of the servers that are given."""
    names = [
        *(redis_password_variable(user) for user in RULES if redis),
        *(postgres_password_variable(role) for role in ROLES if postgres),
    ]
    return [name for name in names if not environment.get(name)]


def _logged_in(url: str, login: str, password: str) -> str:
    address = urlsplit(url)
    options = [one for one in parse_qsl(address.query, keep_blank_values=True) if one[0] not in _LOGIN_OPTIONS]
    place = address.netloc.rpartition("@")[2]
    named = address._replace(netloc=f"{login}:{quote(password, safe='')}@{place}", query=urlencode(options))
    return named.geturl()

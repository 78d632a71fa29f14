"""Validates the URLs of Redis and Postgres when a process reads its settings.

The clients report many errors late, or never, or as an outage that they retry. Messages repeat only names of options:
other parts of the URL may be a password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, SecretStr

from runtime.setting_values.sentinel_url import SENTINEL_LOGIN, SENTINEL_SCHEMES, split_sentinel_path

_MAX_PORT: Final = 65_535
_OPTION_NAME: Final = re.compile(r"[A-Za-z0-9_.]{1,64}")

_REDIS_TLS: Final = frozenset(
    ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_cert_reqs", "ssl_check_hostname")
)
_REDIS_SECONDS: Final = frozenset(("socket_timeout", "socket_connect_timeout"))
_REDIS_NUMBERS: Final = frozenset(("db", "health_check_interval"))
_REDIS: Final = frozenset(("username", "password", "client_name")) | _REDIS_SECONDS | _REDIS_NUMBERS
_SERVICE_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")

_SSL_MODES: Final = frozenset(("disable", "allow", "prefer", "require", "verify-ca", "verify-full"))
_POSTGRES_FILES: Final = frozenset(("sslcert", "sslkey", "sslrootcert", "sslcrl"))
_POSTGRES: Final = (
    frozenset(("host", "port", "user", "password", "database", "dbname", "passfile", "service", "servicefile"))
    | frozenset(("sslmode", "sslpassword", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version"))
    | frozenset(("target_session_attrs", "krbsrvname", "gsslib"))
    | frozenset(("application_name", "options", "search_path", "statement_timeout", "lock_timeout"))
    | _POSTGRES_FILES
)


def validate_redis_url(url: str) -> str:
    """Return the URL. Raises ValueError with the reason."""
    parts = _split(url, ("redis", "rediss", "unix", *SENTINEL_SCHEMES))
    options = _options(parts, _redis_options(parts.scheme))
    hosts = parts.netloc.rpartition("@")[2]
    if parts.scheme == "unix":
        _require(bool(parts.path.strip("/")), "it has no socket path")
    elif parts.scheme in SENTINEL_SCHEMES:
        _check_hosts(hosts.split(","))
        service, database = split_sentinel_path(parts.path)
        _require(
            _SERVICE_NAME.fullmatch(service) is not None,
            "its path does not begin with the name under which the sentinels know the primary, as in /mymaster/0",
        )
        _require(database == "" or _is_number(database), "its path does not end with a database number")
    else:
        _require("," not in hosts, "it has several hosts: only redis+sentinel:// and rediss+sentinel:// may")
        _check_hosts([hosts] if hosts else [])
        database = unquote(parts.path).strip("/")
        _require(database == "" or _is_number(database), "its path is not a database number")
    _check(options, _REDIS_NUMBERS, _is_number, "not a number")
    _check(options, _REDIS_SECONDS, _is_seconds, "not a number of seconds")
    _check(
        options,
        frozenset(("ssl_cert_reqs",)),
        ("none", "optional", "required").__contains__,
        "not none, optional or required",
    )
    _check(options, frozenset(("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")), _is_file, "not a file")
    return url


def validate_postgres_url(url: str) -> str:
    """Return the URL. Raises ValueError with the reason."""
    parts = _split(url, ("postgresql", "postgres"))
    options = _options(parts, _POSTGRES)
    hosts = parts.netloc.rpartition("@")[2]
    _check_hosts(hosts.split(",") if hosts else [])
    ports = (options.get("port") or "").split(",")
    _require(ports == [""] or all(map(_is_port, ports)), "its option port is not a port")
    _require(
        hosts != "" or len(ports) in (1, len((options.get("host") or "").split(","))),
        "its option port does not have one port for each host of its option host",
    )
    _check(
        options,
        frozenset(("target_session_attrs",)),
        ("any", "primary", "read-write").__contains__,
        "not any, primary or read-write: every process needs the primary",
    )
    _check(options, frozenset(("sslmode",)), _SSL_MODES.__contains__, f"not one of {', '.join(sorted(_SSL_MODES))}")
    _check(options, _POSTGRES_FILES, _is_file, "not a file")
    return url


RedisUrl = Annotated[SecretStr, AfterValidator(lambda url: SecretStr(validate_redis_url(url.get_secret_value())))]
PostgresUrl = Annotated[SecretStr, AfterValidator(lambda url: SecretStr(validate_postgres_url(url.get_secret_value())))]
"""URLs in settings, validated when they are read."""


def _redis_options(scheme: str) -> frozenset[str]:
    encrypted = _REDIS_TLS if scheme.startswith("rediss") else frozenset()
    return _REDIS | encrypted | (SENTINEL_LOGIN if scheme in SENTINEL_SCHEMES else frozenset())


def _split(url: str, schemes: Collection[str]) -> SplitResult:
    known = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("it is not a URL") from None
    _require(parts.scheme in schemes and url[len(parts.scheme) :].startswith("://"), f"it must begin with {known}")
    _require(
        not parts.fragment and "@" not in parts.query and "@" not in parts.path,
        "user and password must be percent-encoded if they contain / ? # or @",
    )
    return parts


def _options(parts: SplitResult, known: Collection[str]) -> dict[str, str]:
    try:
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ValueError("the part after ? is not a list of options") from None
    for name in options:
        if name not in known:
            shown = f" {name}" if _OPTION_NAME.fullmatch(name) else ""
            raise ValueError(f"it has an unknown option{shown}; known are {', '.join(sorted(known))}")
    return options


def _check_hosts(hosts: Collection[str]) -> None:
    for host in hosts:
        name, colon, port = host.rpartition("]") if host.startswith("[") else host.partition(":")
        if host.startswith("["):
            name, colon, port = f"{name}]", port[:1], port[1:]
        _require(name not in ("", "]", "[]"), "it has no host")
        _require(not colon or _is_port(port), "its port is not a number from 1 to 65535")


def _check(options: dict[str, str], names: Collection[str], is_good: Callable[[str], bool], kind: str) -> None:
    for name in sorted(options.keys() & names):
        _require(is_good(options[name]), f"its option {name} is {kind}")


def _require(holds: bool, fault: str) -> None:
    if not holds:
        raise ValueError(fault)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _is_port(text: str) -> bool:
    return _is_number(text) and len(text) <= len(str(_MAX_PORT)) and 1 <= int(text) <= _MAX_PORT


def _is_seconds(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


def _is_file(text: str) -> bool:
    return "\0" not in text and Path(text).is_file()

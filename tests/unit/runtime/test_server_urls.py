"""A URL that no client can use is refused when settings are read, and its password is not repeated."""

from __future__ import annotations

import pytest

from runtime.environment import load_settings
from runtime.errors import ConfigurationError
from runtime.settings import Settings

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("garbage", "must begin with redis:// or rediss:// or unix://"),
        (f"http://:{SECRET}@localhost", "must begin with"),
        (f"redis://:{SECRET}@localhost:99999", "port"),
        (f"redis://:{SECRET}@localhost:x", "port"),
        (f"redis://:{SECRET}@:6379", "no host"),
        (f"redis://:{SECRET}@localhost/first", "path"),
        (f"redis://:{SECRET}@localhost?protocol=3", "unknown option protocol"),
        (f"redis://:{SECRET}@localhost?ssl_cert_reqs=none", "unknown option ssl_cert_reqs"),
        (f"rediss://:{SECRET}@localhost?ssl_cert_reqs=maybe", "ssl_cert_reqs"),
        (f"rediss://:{SECRET}@localhost?ssl_ca_certs=/nowhere", "ssl_ca_certs is not a file"),
        (f"redis://:{SECRET}@localhost?socket_timeout=long", "socket_timeout"),
        (f"redis://:a?{SECRET}=b@localhost", "percent-encoded"),
        (f"redis://:a#{SECRET}@localhost", "percent-encoded"),
        ("unix://", "no socket"),
    ],
)
def test_redis(monkeypatch: pytest.MonkeyPatch, url: str, fault: str) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(ConfigurationError, match=f"bad settings: REDIS_URL: .*{fault}") as refusal:
        load_settings()
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("garbage", "must begin with postgresql:// or postgres://"),
        (f"mysql://u:{SECRET}@localhost/a", "must begin with"),
        (f"postgresql://u:{SECRET}@localhost:port/a", "port"),
        (f"postgresql://u:{SECRET}@localhost:0/a", "port"),
        (f"postgresql://u:{SECRET}@one:5432,two:x/a", "port"),
        (f"postgresql://u:{SECRET}@localhost/a?connect_timeout=3", "unknown option connect_timeout"),
        (f"postgresql://u:{SECRET}@localhost/a?sslmode=maybe", "sslmode"),
        (f"postgresql://u:{SECRET}@localhost/a?sslrootcert=/nowhere", "sslrootcert is not a file"),
        (f"postgresql://u:{SECRET}/x@localhost/a", "percent-encoded"),
        (f"postgresql://u:{SECRET}@localhost/a?x", "not a list of options"),
        (f"postgresql://[::1:{SECRET}/a", "not a URL"),
    ],
)
def test_postgres(monkeypatch: pytest.MonkeyPatch, url: str, fault: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(ConfigurationError, match=f"bad settings: DATABASE_URL: .*{fault}") as refusal:
        load_settings()
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("redis_url", "redis://localhost"),
        ("redis_url", "redis://user:p%40ss@[::1]:6379/3?socket_timeout=2.5"),
        ("redis_url", "unix:///run/redis.sock?db=2"),
        ("redis_url", f"rediss://redis:6379?ssl_ca_certs={__file__}&ssl_cert_reqs=required"),
        ("database_url", "postgresql:///events?host=/run/postgresql"),
        ("database_url", "postgres://user:p%40ss@one:5432,two:5433/events?target_session_attrs=read-write"),
        ("database_url", f"postgresql://user@[::1]/events?sslmode=verify-full&sslrootcert={__file__}"),
    ],
)
def test_what_a_client_can_use_is_taken(name: str, url: str) -> None:
    settings = Settings.model_validate({name: url})
    assert (settings.redis_dsn if name == "redis_url" else settings.database_dsn) == url


def test_an_empty_url_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("REDIS_URL", "")
    settings = load_settings()
    assert (settings.database_url, settings.redis_dsn) == (None, "redis://localhost:6379/0")


def test_the_parts_of_an_address_are_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HOST", "redis://localhost")
    with pytest.raises(ConfigurationError, match="REDIS_HOST"):
        load_settings()

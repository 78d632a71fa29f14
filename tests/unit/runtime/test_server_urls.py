"""A URL that no client can use is refused when settings are read, and its password is not repeated."""

from __future__ import annotations

import contextlib

import pytest

from runtime.environment import load_settings
from runtime.errors import ConfigurationError
from runtime.setting_values.sentinel_url import parse_sentinel_url
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
        (f"redis://:{SECRET}@one:6379,two:6379", "several hosts"),
        (f"redis+sentinel://:{SECRET}@/mymaster", "no host"),
        (f"redis+sentinel://:{SECRET}@one,,two/mymaster", "no host"),
        (f"redis+sentinel://:{SECRET}@one:26379,two:x/mymaster", "port"),
        (f"redis+sentinel://:{SECRET}@one,two", "name under which the sentinels know the primary"),
        (f"redis+sentinel://:{SECRET}@one,two/my master/0", "name under which"),
        (f"redis+sentinel://:{SECRET}@one,two/mymaster/first", "database number"),
        (f"redis+sentinel://:{SECRET}@one,two/mymaster/0/1", "database number"),
        (f"redis+sentinel://:{SECRET}@one/mymaster?ssl_ca_certs=ca.pem", "unknown option ssl_ca_certs"),
        (f"redis+sentinel://:{SECRET}@one/mymaster?sentinel_pass={SECRET}", "unknown option sentinel_pass"),
        (f"redis://:{SECRET}@localhost?sentinel_password={SECRET}", "unknown option sentinel_password"),
        (f"rediss+sentinel://:{SECRET}@one/mymaster?ssl_ca_certs=/nowhere", "ssl_ca_certs is not a file"),
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
        (f"postgresql://u:{SECRET}@one,,two/a", "no host"),
        (f"postgresql://u:{SECRET}@/a?host=one,two&port=1,2,3", "one port for each host"),
        (f"postgresql://u:{SECRET}@/a?host=one,two&port=1,x", "option port"),
        (f"postgresql://u:{SECRET}@one,two/a?target_session_attrs=prefer-standby", "needs the primary"),
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
        ("redis_url", "redis+sentinel://one/mymaster"),
        ("redis_url", "redis+sentinel://user:p%40ss@[::1]:26380,one:26379,two/my.master-1/3?sentinel_password=x"),
        ("redis_url", f"rediss+sentinel://one,two/mymaster/0?ssl_ca_certs={__file__}&sentinel_username=u"),
        ("database_url", "postgresql:///events?host=/run/postgresql"),
        ("database_url", "postgres://user:p%40ss@one:5432,two:5433/events?target_session_attrs=read-write"),
        ("database_url", "postgresql:///events?host=one,two&port=5432,5433"),
        ("database_url", f"postgresql://user@[::1]/events?sslmode=verify-full&sslrootcert={__file__}"),
    ],
)
def test_what_a_client_can_use_is_taken(name: str, url: str) -> None:
    settings = Settings.model_validate({name: url})
    assert (settings.redis_dsn if name == "redis_url" else settings.database_dsn) == url


def test_the_parts_of_a_sentinel_url() -> None:
    login = "sentinel_username=u&sentinel_password=%26"
    parts = parse_sentinel_url(f"rediss+sentinel://us%2Fer:p%40ss@[::1]:26380,one:26381,two/my.master/3?db=2&{login}")
    assert parts.sentinels == (("::1", 26_380), ("one", 26_381), ("two", 26_379))
    assert (parts.service, parts.username, parts.password) == ("my.master", "u", "&")
    assert parts.server_url == "rediss://us%2Fer:p%40ss@/3?db=2"


@pytest.mark.parametrize(
    ("url", "encrypts"),
    [
        ("redis+sentinel://one,two/mymaster", False),
        ("rediss+sentinel://one,two/mymaster", True),
        ("rediss+sentinel://one,two/mymaster?ssl_cert_reqs=none", False),
    ],
)
def test_required_encryption_is_required_through_sentinels_too(url: str, encrypts: bool) -> None:
    settings = Settings.model_validate({"redis_url": url, "require_tls": True})
    with contextlib.nullcontext() if encrypts else pytest.raises(ConfigurationError, match="rediss\\+sentinel://"):
        assert settings.redis_dsn == url


def test_an_empty_url_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("REDIS_URL", "")
    settings = load_settings()
    assert (settings.database_url, settings.redis_dsn) == (None, "redis://localhost:6379/0")


def test_the_parts_of_an_address_are_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HOST", "redis://localhost")
    with pytest.raises(ConfigurationError, match="REDIS_HOST"):
        load_settings()

"""Commands are packed in C, to the same bytes as redis-py produces."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection

from runtime.settings import Settings
from stream.server.connection import connect

KINDS = {
    "redis://localhost/0": Connection,
    "rediss://localhost/0": SSLConnection,
    "unix:///run/redis.sock": UnixDomainSocketConnection,
    "redis+sentinel://localhost/service": SentinelManagedConnection,
    "rediss+sentinel://localhost/service": SentinelManagedSSLConnection,
}
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
NAMES = st.sampled_from(["XADD", "EVALSHA", "CONFIG GET", "XINFO  STREAM ", b"PING", b"CLIENT KILL", b"XGROUP"])
VALUES: st.SearchStrategy[Any] = (
    TEXTS | st.binary() | st.integers() | st.floats() | st.binary().map(lambda octets: memoryview(octets))
)


def connection_of(url: str, *, blocking: bool = False) -> Any:
    pool: Any = connect(Settings.model_validate({"redis_url": url}), blocking=blocking).connection_pool
    return pool.make_connection()


def as_redis_py_packs(connection: AbstractConnection, *args: Any) -> bytes:
    return b"".join(AbstractConnection.pack_command(connection, *args))


PACKING = connection_of("redis://localhost/0")


@given(NAMES, st.lists(VALUES))
def test_any_command_is_packed_to_the_same_bytes(name: str | bytes, values: list[Any]) -> None:
    assert b"".join(PACKING.pack_command(name, *values)) == as_redis_py_packs(PACKING, name, *values)


@pytest.mark.parametrize("url", KINDS)
@pytest.mark.parametrize(
    "args",
    [
        ("PING",),
        ("CONFIG GET", "maxmemory"),
        (b"CONFIG GET", b"maxmemory"),
        ("SET", "", ""),
        ("SET", "naïve", "日本 \U0001f600"),
        ("SET", b"\x00\xff\r\n", b"x" * 10_000),
        ("SET", 0, -(2**70)),
        ("SET", 0.1, float("-inf")),
        ("SET", "key", memoryview(b"a view")),
        ("SET", "key", memoryview(b"a view" * 10_000)[3:]),
    ],
)
def test_a_command_is_packed_to_the_same_bytes_for_either_kind_of_server(url: str, args: tuple[Any, ...]) -> None:
    connection = connection_of(url)
    assert b"".join(connection.pack_command(*args)) == as_redis_py_packs(connection, *args)


@pytest.mark.parametrize(("url", "kind"), KINDS.items())
@pytest.mark.parametrize("blocking", [True, False])
def test_every_connection_packs_in_c(
    monkeypatch: pytest.MonkeyPatch, url: str, kind: type[AbstractConnection], blocking: bool
) -> None:
    connection = connection_of(url, blocking=blocking)
    assert isinstance(connection, kind)
    monkeypatch.setattr(hiredis, "pack_command", lambda args: repr(args).encode())
    assert connection.pack_command("CONFIG GET", "x") == [b"(b'CONFIG', b'GET', 'x')"]


@pytest.mark.parametrize("url", KINDS)
def test_no_command_is_repeated_by_the_client(url: str) -> None:
    assert connection_of(url).retry.get_retries() == 0


@pytest.mark.parametrize("url", KINDS)
def test_the_client_takes_every_option_that_settings_accept(url: str) -> None:
    options = "db=2&username=u&password=p&client_name=n&socket_timeout=0.5&socket_connect_timeout=1"
    options += "&health_check_interval=30"
    if url.startswith("rediss"):
        options += f"&ssl_ca_certs={__file__}&ssl_certfile={__file__}&ssl_keyfile={__file__}&ssl_password=p"
        options += "&ssl_cert_reqs=required&ssl_check_hostname=true"
    if "sentinel" in url:
        options += "&sentinel_username=u&sentinel_password=p"
    connection = connection_of(f"{url}?{options}")
    assert (connection.username, connection.password, connection.client_name) == ("u", "p", "n")
    assert (connection.socket_timeout, connection.health_check_interval) == (0.5, 30)


def test_a_pipeline_is_packed_to_the_same_bytes() -> None:
    commands = [("SET", str(number), b"x" * (number * 100)) for number in range(100)]
    together = b"".join(PACKING.pack_commands(commands))
    assert together == b"".join(as_redis_py_packs(PACKING, *command) for command in commands)

"""Sentinels that watch a Valkey server and its replica."""

from __future__ import annotations

import secrets
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis

from cli.local.embedded.binaries import find_valkey
from cli.local.embedded.ports import LOOPBACK, any_free
from cli.local.embedded.process import ServerProcess
from cli.local.embedded.valkey import Valkey
from tests.support.waiting import eventually

SERVICE = "mymaster"
DOWN_AFTER_MILLISECONDS = 1_000
HOLD_MILLISECONDS = 600_000


class Sentinels:
    """Running sentinels, with a password of their own."""

    def __init__(self, ports: list[int], password: str, primary: Valkey) -> None:
        self.ports = ports
        """The port of each sentinel."""
        self._password = password
        self._login = urlsplit(primary.url).netloc.rpartition("@")[0]

    @property
    def url(self) -> str:
        """The URL of the primary, whichever server that is."""
        return self.url_of(self.ports)

    def url_of(self, ports: list[int], service: str = SERVICE, login: str | None = None) -> str:
        """Return the URL through the sentinels at these ports, for another service or with the options of a login."""
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in ports)
        login = login or f"sentinel_password={self._password}"
        return f"redis+sentinel://{self._login}@{hosts}/{service}/0?{login}"

    async def watch(self, replicas: int) -> None:
        """Wait until each sentinel knows the others and so many replicas: earlier they cannot agree on a failover."""

        async def knows_all(sentinel: Redis) -> bool:
            known: Any = await sentinel.sentinel_masters()
            facts = known[SERVICE]
            return (facts["num-slaves"], facts["num-other-sentinels"]) == (replicas, len(self.ports) - 1)

        await self._wait_for_each(knows_all)

    async def agree_on(self, server: Valkey) -> None:
        """Wait until each sentinel names the server as the primary."""

        async def names_it(sentinel: Redis) -> bool:
            named: Any = await sentinel.sentinel_get_master_addr_by_name(SERVICE)
            return int(named[1]) == server.port

        await self._wait_for_each(names_it)

    async def hold(self) -> None:
        """Fail over no more: a primary that is slow for a moment stays the primary."""
        for port in self.ports:
            async with self.client_of(port) as sentinel:
                await sentinel.sentinel_set(SERVICE, "down-after-milliseconds", HOLD_MILLISECONDS)

    def client_of(self, port: int) -> Redis:
        """Return a client of one sentinel, with all rights."""
        return Redis(host=LOOPBACK, port=port, password=self._password, protocol=2)

    async def _wait_for_each(self, holds: Callable[[Redis], Awaitable[bool]]) -> None:
        for port in self.ports:
            async with self.client_of(port) as sentinel:
                await eventually(partial(holds, sentinel))


@contextmanager
def sentinels(directory: Path, primary: Valkey, count: int = 3) -> Iterator[Sentinels]:
    """Run sentinels for the block. A majority of them decides."""
    ports = [any_free() for _ in range(count)]
    password = secrets.token_urlsafe(16)
    with ExitStack() as stack:
        for number, port in enumerate(ports):
            home = directory / f"sentinel-{number}"
            home.mkdir()
            # sentinels write what they learn into this file
            configuration = home / "sentinel.conf"
            configuration.write_text(_configuration(home, port, password, primary, quorum=count // 2 + 1))
            process = ServerProcess("sentinel", home, home / "sentinel.log", stop_signal=signal.SIGTERM, grace=10)
            process.launch([find_valkey(), configuration, "--sentinel"], account=None, environment={})
            stack.callback(process.stop)
            process.wait_until(partial(_accepts, port), 30)
        yield Sentinels(ports, password, primary)


def _configuration(home: Path, port: int, password: str, primary: Valkey, quorum: int) -> str:
    return f"""\
bind {LOOPBACK}
port {port}
dir "{home}"
requirepass {password}
sentinel sentinel-pass {password}
sentinel monitor {SERVICE} {LOOPBACK} {primary.port} {quorum}
sentinel auth-pass {SERVICE} {urlsplit(primary.url).password}
sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MILLISECONDS}
sentinel failover-timeout {SERVICE} 5000
"""


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=5):
            return True
    except OSError:
        return False

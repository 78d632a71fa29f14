"""Two Valkey servers with the same password, one the replica of the other."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis

from cli.local.embedded.valkey import Valkey
from tests.support.waiting import eventually


@contextmanager
def pair(directory: Path, program: Path | None = None) -> Iterator[tuple[Valkey, Valkey]]:
    """Run a server, and another one to be its replica, for the block. `program` is that of the first."""
    password = secrets.token_urlsafe(32)
    with ExitStack() as stack:
        servers = Valkey(directory / "primary", program=program), Valkey(directory / "replica")
        for server in servers:
            server.home.mkdir()
            (server.home / "password").write_text(password)
            server.start()
            stack.callback(server.stop)
        yield servers


async def follow(replica: Valkey, primary: Valkey) -> None:
    """Make `replica` a replica of `primary`; return when it is linked."""
    url = httpx.URL(primary.url)
    async with Redis.from_url(replica.url, protocol=2) as client, Redis.from_url(primary.url, protocol=2) as source:
        await source.config_set("repl-diskless-sync-delay", 0)
        await client.config_set("masterauth", url.password)
        await client.replicaof(url.host, str(url.port))

        async def is_linked() -> bool:
            facts: dict[str, Any] = await client.info("replication")
            return str(facts["master_link_status"]) == "up"

        await eventually(is_linked)

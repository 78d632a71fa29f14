"""Compares this system with the peer on the same servers, from the first request until every event is a row."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Final

import asyncpg

from bench import requests
from bench.figures import Figure, Floor, Target
from bench.load import Order, send
from bench.peer.table import CREATE
from bench.requests import Requests
from bench.servers import Servers, fresh_servers, ingest, process, verify, worker
from bench.size import Size
from runtime.embedded.ports import LOOPBACK, any_free

_CONNECTIONS: Final = 32
_LONGEST_SECONDS: Final = 600.0
_PEERS: Final = {"FastAPI + FastStream": False, "the same, published in pipelines": True}
_TIMES: Final = Target(3, 6)


async def measure(size: Size) -> list[Figure]:
    """Measure this system, with aggregates and books, and the peer without them; one service and one worker each."""
    made = requests.events(size.peer_events // 100 * 100)
    distinct = len({event["event_id"] for event in made})
    async with fresh_servers() as servers:
        ours = await _ours(servers, requests.batches(made), distinct)
        await verify(servers.directory, len(made), servers.environment())
        theirs = requests.batches(made, path="/events/batch")
        floors = [
            Floor(name, len(made) / await _theirs(servers, theirs, distinct, pipelined=pipelined))
            for name, pipelined in _PEERS.items()
        ]
    return [
        Figure(
            "sent until stored, batches of 100",
            len(made) / ours,
            "/s",
            tuple(floors),
            ratio_target=_TIMES,
        )
    ]


async def _ours(servers: Servers, what: Requests, distinct: int) -> float:
    async with worker(servers), ingest(servers) as url:
        return await _sent_until_stored(servers, url, what, "analytics_events", distinct)


async def _theirs(servers: Servers, what: Requests, distinct: int, *, pipelined: bool) -> float:
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute(CREATE)
    await connection.close()
    port = any_free()
    url = f"http://{LOOPBACK}:{port}"
    environment = {
        "REDIS_URL": servers.redis_url,
        "DATABASE_URL": servers.database_url,
        "PEER_KEY": servers.access.write_key,
        "PEER_SECRET": secrets.token_hex(32),
        "PEER_PIPELINED": str(int(pipelined)),
    }
    command = ("uvicorn", "bench.peer.api:app", "--port", str(port), "--loop", "uvloop", "--no-access-log")
    async with (
        process(("bench.peer.worker",), environment, servers.directory / "peer-worker.log"),
        process(command, environment, servers.directory / "peer-api.log", f"{url}/readyz"),
    ):
        return await _sent_until_stored(servers, url, what, "peer_events", distinct)


async def _sent_until_stored(servers: Servers, url: str, what: Requests, table: str, distinct: int) -> float:
    order = Order(url, servers.access.write_key, what, _CONNECTIONS, _LONGEST_SECONDS, most=len(what.bodies))
    connection = await asyncpg.connect(servers.database_url)
    sending = asyncio.create_task(send(order))
    async with asyncio.timeout(_LONGEST_SECONDS):
        while await connection.fetchval(f"SELECT count(*) FROM {table}") < distinct:
            if sending.done():
                (await sending).require_all_accepted()
            await asyncio.sleep(0.1)
        stored = time.time()
        sent = await sending
    sent.require_all_accepted()
    await connection.close()
    return stored - sent.began_at

"""Starts and stops the whole system on one machine. What starts last stops first: senders before receivers."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from cli.local import dev_file, process_logins
from cli.local.dev_access import keep_access
from cli.local.dev_file import DevFile
from cli.local.owned_files import require_ours
from cli.local.programs import Addresses, Plan, Programs
from cli.local.supervised_process import Program, Say, SupervisedProcess
from cli.local.supervised_server import Server, SupervisedServer
from runtime.embedded.postgres import Postgres
from runtime.embedded.valkey import Valkey
from runtime.lifecycle import run_until_stopped
from storage.database.migrate import upgrade
from storage.database.roles import ROLES, make_logins
from stream import permissions


class System:
    """One system: `start`, `run`, and `stop` in any case."""

    def __init__(self, plan: Plan, say: Say) -> None:
        """`say` is told what is worth a sentence to the person at the terminal."""
        self._plan = plan
        self._say = say
        self._hurry = asyncio.Event()
        self._stack = AsyncExitStack()
        self._watched: list[asyncio.Task[None]] = []

    async def start(self, stop: asyncio.Event) -> DevFile | None:
        """Start everything and wait until it does its work; return where it is, None when `stop` is set before.

        Raises ConfigurationError or DependencyUnavailable.
        """
        plan = self._plan
        access = keep_access(plan.data_dir / dev_file.ACCESS_NAME, os.environ)
        valkey, postgres = await self._start_servers()
        if stop.is_set():
            return None
        redis_url = valkey.url if valkey else plan.settings.redis_dsn
        database_url = postgres.url if postgres else plan.settings.database_dsn
        started = time.monotonic()
        await upgrade(database_url)
        self._say_done("database migrated", started)
        missing = process_logins.missing_passwords(os.environ, redis=valkey is None, postgres=postgres is None)
        if shared := ", ".join(missing):
            self._say(f"processes share the login of REDIS_URL or DATABASE_URL; not set: {shared}")
        started = time.monotonic()
        programs = Programs(plan, access, await _addresses(valkey, postgres, redis_url, database_url))
        services = [
            *self._start_processes([programs.dashboard()]),
            *self._start_processes([programs.maintenance()]),
            *self._start_processes([*programs.workers(), programs.live_worker()]),
            *self._start_processes([programs.ingest()]),
        ]
        await run_until_stopped(_all_ready(services), stop, self._watched)
        if stop.is_set():
            return None
        self._say_done("services started", started)
        where = DevFile(
            ingest_url=plan.ingest_url,
            dashboard_url=plan.dashboard_url,
            write_key=access.write_key,
            read_key=access.read_key,
            admin_key=access.admin_key,
            jwt_secret=access.jwt_secret,
            database_url=database_url,
            redis_url=redis_url,
            shared_logins=shared,
        )
        self._stack.callback(dev_file.remove, plan.data_dir)
        dev_file.write(plan.data_dir, where)
        if plan.demo:
            self._start_processes([programs.demo()])
        return where

    async def run(self, stop: asyncio.Event) -> None:
        """Wait until `stop` is set. Raises what a part failed with that starting it again does not mend."""
        await run_until_stopped(asyncio.Event().wait(), stop, self._watched)

    def hurry(self) -> None:
        """Make `stop` end by force what has not ended yet."""
        self._hurry.set()

    async def stop(self) -> None:
        """Stop everything that was started, in the opposite order."""
        await self._stack.aclose()

    async def _start_servers(self) -> tuple[Valkey | None, Postgres | None]:
        """Start the servers that are not given, together; return those."""
        plan, given = self._plan, self._plan.settings
        valkey = postgres = None
        servers: list[SupervisedServer] = []
        if given.redis_url is None and "REDIS_HOST" not in os.environ:
            # past the size at which ingest refuses, so that Redis itself need not
            memory = given.stream_max_bytes * 3 // 2
            home, log = plan.data_dir / "redis", plan.logs / "redis.log"
            require_ours(log)
            valkey = Valkey(home, log=log, max_memory_bytes=memory, users=permissions.RULES)
            servers.append(self._kept("Redis", valkey))
        if given.database_url is None:
            log = plan.logs / "postgres.log"
            require_ours(log)
            postgres = Postgres(plan.data_dir / "postgres", log=log)
            servers.append(self._kept("Postgres", postgres))
        started = time.monotonic()
        # a start runs in a thread that cannot be cancelled: let both end before one's failure is told
        for result in await asyncio.gather(*(server.start() for server in servers), return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
            self._watched.append(result)
        if servers:
            self._say_done("servers started", started)
        return valkey, postgres

    def _say_done(self, step: str, started: float) -> None:
        self._say(f"{step} in {time.monotonic() - started:.1f} s")

    def _kept(self, name: str, server: Server) -> SupervisedServer:
        kept = SupervisedServer(name, server, self._say)
        self._stack.push_async_callback(kept.stop)
        return kept

    def _start_processes(self, programs: Sequence[Program]) -> list[SupervisedProcess]:
        """Start programs that will stop together."""
        processes = [SupervisedProcess(program, self._plan.logs, self._say) for program in programs]
        self._watched += [process.start() for process in processes]
        self._stack.push_async_callback(self._stop_processes, processes)
        return processes

    async def _stop_processes(self, processes: Sequence[SupervisedProcess]) -> None:
        await asyncio.gather(*(process.stop(self._hurry) for process in processes))


async def _addresses(valkey: Valkey | None, postgres: Postgres | None, redis_url: str, database_url: str) -> Addresses:
    """Return where processes find the servers, each under its own login as far as there is one."""
    redis = valkey.url_of if valkey else process_logins.redis_urls(redis_url, os.environ).__getitem__
    if postgres is None:
        return Addresses(redis, (await process_logins.database_urls(database_url, os.environ)).__getitem__)
    # of this run alone: whoever has an old one can do nothing with it
    logins = await make_logins(database_url, {role: secrets.token_urlsafe(32) for role in ROLES})
    return Addresses(redis, logins.__getitem__)


async def _all_ready(processes: Sequence[SupervisedProcess]) -> None:
    await asyncio.gather(*(process.until_ready() for process in processes))

"""`analytics up`: runs the whole system on one machine, for evaluation and development."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from cli.demo.learners import DEMO_USER
from cli.local import dev_file
from cli.local.dev_file import DATA_DIR, DataDir, DevFile
from cli.local.embedded import ports
from cli.local.owned_files import open_own_file
from cli.local.programs import Plan
from cli.output import say, show
from runtime.environment import load_settings
from runtime.errors import ConfigurationError

INGEST_PORT = 8080
DASHBOARD_PORT = 8081

_PORT_HELP = "0: any free port. Default: {}, or any free port if that is taken."


def up(
    data_dir: DataDir = DATA_DIR,
    ingest_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help=_PORT_HELP.format(INGEST_PORT), show_default=False)
    ] = None,
    dashboard_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help=_PORT_HELP.format(DASHBOARD_PORT), show_default=False)
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Number of store workers.")] = 1,
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Send synthetic traffic.")] = False,
) -> None:
    """Run the whole system. Redis and Postgres are embedded unless REDIS_URL or DATABASE_URL names a server.

    Ctrl-C stops the system gracefully, a second Ctrl-C kills what still runs. The data stays for the next start.
    """
    data_dir = data_dir.absolute()
    with _locked(data_dir):
        dev_file.remove(data_dir)
        ingest = _choose_port("--ingest-port", ingest_port, INGEST_PORT, taken=None)
        plan = Plan(
            data_dir=data_dir,
            ingest_port=ingest,
            dashboard_port=_choose_port("--dashboard-port", dashboard_port, DASHBOARD_PORT, taken=ingest),
            workers=workers,
            demo=demo,
            settings=load_settings(),
        )
        asyncio.run(_run(plan))


async def _run(plan: Plan) -> None:
    from cli.local.system import System

    stop = asyncio.Event()
    system = System(plan, say)

    def on_signal() -> None:
        if stop.is_set():
            system.hurry()
        else:
            say("stopping; press Ctrl-C again to kill what still runs")
            stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    try:
        running = await system.start(stop)
        if running is not None:
            show(*_welcome(running, plan).splitlines())
            await system.run(stop)
    finally:
        await system.stop()
        say(f"stopped; the data stays in {plan.data_dir}")


@contextlib.contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """Lock the directory for this process. Raises ConfigurationError when another process holds the lock."""
    (data_dir / "logs").mkdir(parents=True, exist_ok=True)
    with os.fdopen(open_own_file(data_dir / "up.lock", 0), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"another `analytics up` runs in {data_dir}; stop it, or give another --data-dir"
            ) from None
        yield


def _choose_port(option: str, requested: int | None, default: int, *, taken: int | None) -> int:
    if requested:
        if requested == taken or not ports.is_free(requested):
            raise ConfigurationError(f"port {requested} is taken; give {option} another port, or 0 for any free port")
        return requested
    if requested is None and default != taken and ports.is_free(default):
        return default
    while (port := ports.any_free()) == taken:
        pass
    if requested is None:
        say(f"port {default} is taken; {option} is {port} instead")
    return port


def _welcome(running: DevFile, plan: Plan) -> str:
    learner = f"{DEMO_USER}1" if plan.demo else "ada"
    return f"""
StudyIn Analytics runs{" with demo traffic" if plan.demo else ""}; Ctrl-C stops it.

  page       {running.dashboard_url}/#key={running.read_key}&user_id={learner}
  events     {running.ingest_url}   (API at /docs)
  answers    {running.dashboard_url}   (API at /docs)
  keys       {plan.data_dir / dev_file.NAME}
  logs       {plan.logs}

Send an event, then read the answer:

  curl -s {running.ingest_url}/api/analytics/events/track \\
    -H 'Authorization: Bearer {running.write_key}' -H 'Content-Type: application/json' \\
    -d '{{"event_type":"xp_earned","user_id":"ada","properties":{{"xp_amount":50}}}}'

  curl -s '{running.dashboard_url}/api/analytics/learning/overview?user_id=ada' \\
    -H 'Authorization: Bearer {running.read_key}'
"""

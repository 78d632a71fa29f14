"""`analytics up`: the whole system on one machine, for a first look and for development."""

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
from cli.local.owned_files import open_for_us
from cli.local.programs import Plan
from cli.output import say, show
from runtime.embedded import ports
from runtime.environment import load_settings
from runtime.errors import ConfigurationError

INGEST_PORT = 8080
DASHBOARD_PORT = 8081

_PORT_HELP = "0: any free one. Not given: {}, or any free one when it is taken."


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
    """Run everything, on embedded servers unless REDIS_URL or DATABASE_URL names one.

    Ctrl-C stops it in order, a second one hurries. The next start finds the data again.
    """
    data_dir = data_dir.absolute()
    with _sole_owner(data_dir):
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
            say("stopping; press Ctrl-C again to hurry")
            stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    try:
        where = await system.start(stop)
        if where is not None:
            show(*_welcome(where, plan).splitlines())
            await system.run(stop)
    finally:
        await system.stop()
        say(f"stopped; the data stays in {plan.data_dir}")


@contextlib.contextmanager
def _sole_owner(data_dir: Path) -> Iterator[None]:
    """Hold the directory for this process. Raises ConfigurationError when another one does, or somebody's lock is."""
    (data_dir / "logs").mkdir(parents=True, exist_ok=True)
    with os.fdopen(open_for_us(data_dir / "up.lock", 0), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"another `analytics up` runs on {data_dir}; stop it, or give another --data-dir"
            ) from None
        yield


def _choose_port(option: str, wanted: int | None, usual: int, *, taken: int | None) -> int:
    if wanted:
        if wanted == taken or not ports.is_free(wanted):
            raise ConfigurationError(f"port {wanted} is taken; give {option} another one, or 0 for any free one")
        return wanted
    if wanted is None and usual != taken and ports.is_free(usual):
        return usual
    while (port := ports.any_free()) == taken:
        pass
    if wanted is None:
        say(f"port {usual} is taken, so {option} is {port}")
    return port


def _welcome(where: DevFile, plan: Plan) -> str:
    learner = f"{DEMO_USER}1" if plan.demo else "ada"
    return f"""
StudyIn Analytics runs{" with demo traffic" if plan.demo else ""}; Ctrl-C stops it.

  page       {where.dashboard_url}/#key={where.read_key}&user_id={learner}
  events     {where.ingest_url}   (API at /docs)
  answers    {where.dashboard_url}   (API at /docs)
  keys       {plan.data_dir / dev_file.NAME}
  logs       {plan.logs}

Send an event, then read the answer:

  curl -s {where.ingest_url}/api/analytics/events/track \\
    -H 'Authorization: Bearer {where.write_key}' -H 'Content-Type: application/json' \\
    -d '{{"event_type":"xp_earned","user_id":"ada","properties":{{"xp_amount":50}}}}'

  curl -s '{where.dashboard_url}/api/analytics/learning/overview?user_id=ada' \\
    -H 'Authorization: Bearer {where.read_key}'
"""

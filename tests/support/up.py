"""`analytics up` as a user runs it: a separate process with a data directory."""

from __future__ import annotations

import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from cli.local import dev_file
from cli.local.dev_file import DevFile
from runtime.embedded.postgres import Postgres
from runtime.embedded.valkey import Valkey
from tests.support import processes
from tests.support.waiting import eventually


class Up:
    """A run of `analytics up` on embedded servers and free ports, without demo traffic."""

    def __init__(self, data_dir: Path, *options: str) -> None:
        self.data_dir = data_dir
        self._log = data_dir / "up.log"
        command = [sys.executable, "-m", "cli.main", "up", "--data-dir", str(data_dir), "--no-demo"]
        command += options or ("--ingest-port", "0", "--dashboard-port", "0")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def children(self) -> dict[int, str]:
        return processes.children(self.process.pid)

    def child(self, word: str) -> int | None:
        """Return the process id of the child whose command line contains the word."""
        return next((pid for pid, arguments in self.children.items() if word in arguments), None)

    async def ready(self) -> DevFile:
        """Wait until the system reports its addresses."""
        await eventually(lambda: self.process.poll() is not None or "Ctrl-C stops it" in self.output)
        where = dev_file.read(self.data_dir)
        assert where is not None, self.output
        return where

    def interrupt(self) -> int:
        """Press Ctrl-C; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait()


@contextmanager
def up(data_dir: Path, *options: str) -> Iterator[Up]:
    """Run `analytics up` for the block. Afterwards no process of it is left, whatever the test did."""
    system = Up(data_dir, *options)
    try:
        yield system
    finally:
        if system.process.poll() is None:
            system.interrupt()
    assert "did not stop in time" not in system.output, system.output


def remove_leftovers(data_dir: Path) -> None:
    """End the servers of a killed `analytics up`."""
    for server in (Valkey(data_dir / "redis"), Postgres(data_dir / "postgres")):
        if (server.home / "password").exists():
            server.start()
            server.stop()


async def send(where: DevFile, user_id: str, xp: int) -> None:
    """Send one event worth `xp` XP, repeatedly until it is accepted, as senders do."""
    event = {
        "event_type": "xp_earned",
        "event_id": str(uuid.uuid4()),
        "user_id": user_id,
        "properties": {"xp_amount": xp},
    }
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {where.write_key}"}) as client:

        async def is_accepted() -> bool:
            try:
                reply = await client.post(f"{where.ingest_url}/api/analytics/events/track", json=event)
            except httpx.TransportError:
                return False
            assert reply.status_code in (202, 503), reply.text
            return reply.status_code == 202

        await eventually(is_accepted)


async def until_total_xp(where: DevFile, user_id: str, xp: int) -> None:
    """Request the dashboard repeatedly until it answers this total."""
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {where.read_key}"}) as client:

        async def holds() -> bool:
            try:
                reply = await client.get(
                    f"{where.dashboard_url}/api/analytics/learning/overview", params={"user_id": user_id}
                )
            except httpx.TransportError:
                return False
            assert reply.status_code in (200, 503), reply.text
            return reply.status_code == 200 and reply.json()["total_xp"] == xp

        await eventually(holds)

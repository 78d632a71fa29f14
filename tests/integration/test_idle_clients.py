"""Clients that send little or read nothing use little memory and do not lock others out."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from cli.local.embedded.ports import LOOPBACK, any_free
from runtime.settings import Settings
from tests.support import access

RUN = """
import uvloop
from ingest.server import serve
from runtime.environment import load_settings
from telemetry import logging
settings = load_settings()
logging.configure(settings)
uvloop.run(serve(settings))
"""
SCRIPT = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: x\r\n\r\n"
LIVEZ = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
UNFINISHED = (
    f"POST /api/analytics/events/batch HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {access.WRITE_KEY}\r\n"
    "content-type: application/json\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n"
).encode()


class Ingest:
    """A server in a separate process."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port
        self._open = contextlib.ExitStack()

    def connect(self, said: bytes = b"") -> socket.socket:
        """Return a connection with a small window, which stays open until the end of the test."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.settimeout(20)
        self._open.enter_context(client)
        client.connect((LOOPBACK, self.port))
        client.sendall(said)
        return client

    def asked(self, request: bytes = LIVEZ) -> bytes:
        """Return the complete answer to a request."""
        client = self.connect(request)
        return b"".join(iter(lambda: client.recv(65_536), b""))

    def megabytes(self) -> float:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) / 1024

    def counted(self, sample: str) -> float:
        metrics = self.asked(LIVEZ.replace(b"/livez", b"/metrics")).decode()
        return float(next(line for line in metrics.splitlines() if line.startswith(sample + " ")).rpartition(" ")[2])

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def hang_up(self) -> None:
        self._open.close()


@contextlib.contextmanager
def ingest(
    settings: Settings, *, descriptors: int = 1_024, log: IO[bytes] | None = None, **variables: str
) -> Iterator[Ingest]:
    port = any_free()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONWARNINGS": "error",
        "ANALYTICS_ENVIRONMENT": "dev",
        "ANALYTICS_PSEUDONYM_KEYS": access.PSEUDONYM_KEYS,
        "ANALYTICS_API_KEYS": access.API_KEYS,
        "ANALYTICS_LOG_LEVEL": "warning",
        "ANALYTICS_INGEST_PORT": str(port),
        "REDIS_URL": settings.redis_dsn,
    }
    child = subprocess.Popen(
        [sys.executable, "-c", RUN], env=environment | variables, stdout=subprocess.DEVNULL, stderr=log
    )
    resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
    process = Ingest(child.pid, port)
    try:
        while True:
            assert child.poll() is None
            with contextlib.suppress(OSError):
                if process.asked().startswith(b"HTTP/1.1 200 "):
                    break
            time.sleep(0.05)
        yield process
    finally:
        process.hang_up()
        child.terminate()
        assert child.wait(30) == 0


def test_sixty_readers_that_read_nothing_cost_no_copy_each(settings: Settings) -> None:
    with ingest(settings) as process:
        before = process.megabytes()
        for _ in range(60):
            # the head has arrived, so the content is being sent
            assert process.connect(SCRIPT).recv(15) == b"HTTP/1.1 200 OK"
        assert process.megabytes() - before < 15


def test_a_reader_gets_the_whole_file(settings: Settings) -> None:
    with ingest(settings) as process:
        head, _, content = process.asked(SCRIPT.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")).partition(
            b"\r\n\r\n"
        )
        assert f"content-length: {len(content)}".encode() in head
        assert len(content) > 1_000_000


def test_requests_sent_ahead_are_not_gathered_without_end(settings: Settings) -> None:
    with ingest(settings) as process:
        before = process.megabytes()
        flood = LIVEZ.replace(b"connection: close\r\n", b"") * 20_000
        for _ in range(10):
            client = process.connect()
            client.setblocking(False)
            with contextlib.suppress(OSError):
                client.send(flood)
        assert process.asked().startswith(b"HTTP/1.1 200 ")
        assert process.megabytes() - before < 20


def test_idle_clients_do_not_exhaust_few_descriptors(settings: Settings) -> None:
    with ingest(settings, descriptors=128) as process:
        for _ in range(10):
            for _ in range(40):
                process.connect(b"G")
            assert process.asked().startswith(b"HTTP/1.1 200 ")
        assert process.counted("analytics_open_connections") < 128
        assert process.counted('analytics_refused_connections_total{reason="idle_closed"}') > 100
        assert process.counted('analytics_refused_connections_total{reason="descriptors"}') == 0


def test_without_descriptors_open_connections_work_and_new_ones_wait(settings: Settings, tmp_path: Path) -> None:
    said = tmp_path / "stderr"
    with said.open("wb") as log, ingest(settings, log=log) as process:
        limit = process.descriptors() + 8
        # after the start, as if another part of the process used them
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (limit, limit))
        served = [process.connect() for _ in range(6)]
        for client in served:
            client.sendall(UNFINISHED)
            assert client.recv(99).startswith(b"HTTP/1.1 100 ")
        too_many = [process.connect(UNFINISHED) for _ in range(5)]
        while b"cannot accept connections: Too many open files" not in said.read_bytes():
            time.sleep(0.05)
        waiting = process.connect(LIVEZ)
        for client in served:
            client.sendall(b"[{}] ")
            assert client.recv(99).startswith(b"HTTP/1.1 207 ")
        for client in (*served, *too_many):
            client.close()
        assert waiting.recv(99).startswith(b"HTTP/1.1 200 ")
        assert process.counted('analytics_refused_connections_total{reason="descriptors"}') > 0
    assert said.read_bytes().count(b"cannot accept connections") == 1


@pytest.mark.parametrize(
    ("share", "places", "answer"),
    [
        ("0", 16, (b"503", b"too_many_connections")),
        ("4", 4, (b"429", b"too_many_connections_from_address")),
    ],
    ids=["in total", "from one address"],
)
def test_a_connection_over_the_limit_gets_an_error_response(
    settings: Settings, share: str, places: int, answer: tuple[bytes, bytes]
) -> None:
    with ingest(settings, ANALYTICS_MAX_CONNECTIONS="16", ANALYTICS_MAX_CONNECTIONS_PER_ADDRESS=share) as process:
        for _ in range(places):
            # the 100 Continue shows that the server waits for the body
            assert process.connect(UNFINISHED).recv(99).startswith(b"HTTP/1.1 100 ")
        reply = process.asked()
        assert reply.startswith(b"HTTP/1.1 " + answer[0])
        assert b'"' + answer[1] + b'"' in reply
        assert b"retry-after: " in reply
        assert b"connection: close" in reply
        process.hang_up()
        while not process.asked().startswith(b"HTTP/1.1 200 "):
            pass

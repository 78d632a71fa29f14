"""A Valkey server with durable writes."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from cli.local.embedded import ports
from cli.local.embedded.allocator import AllocatorUnusable, find_allocator
from cli.local.embedded.binaries import find_valkey
from cli.local.embedded.process import ServerFailed, ServerProcess
from cli.local.secret_file import load_or_create_secret, write_private

_START_SECONDS = 300.0
_STOP_SECONDS = 30.0
_PORT_TRIES = 5
_MALLOC = "glibc.malloc.tcache_count=1000"
"""Number of freed blocks of each size that glibc caches, where mimalloc cannot be preloaded. The default is 7, and a
script of 1,000 events frees thousands. Other C libraries ignore it."""

_INHERITED = ("PATH", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "LD_PRELOAD", "GLIBC_TUNABLES")
"""Variables that the server inherits. Others may be secrets."""


class Valkey:
    """One Valkey server on the loopback address, with its data in one directory. Every method blocks."""

    def __init__(
        self,
        home: Path,
        *,
        program: Path | None = None,
        log: Path | None = None,
        max_memory_bytes: int = 3 * 1024**3,
        fsync: Literal["always", "everysec", "no"] = "always",
        users: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Store data and passwords in `home`. Only with `always` does an acknowledged event survive a power cut.

        `users`: the rules of ACL users in addition to the default one, which has all rights.

        Raises ConfigurationError if no server program is found.
        """
        self.home = home
        self._program = program or find_valkey()
        self._max_memory_bytes = max_memory_bytes
        self._fsync = fsync
        self._users = users or {}
        self._process = ServerProcess(
            "Valkey",
            home,
            log or home / "valkey.log",
            stop_signal=signal.SIGTERM,
            grace=_STOP_SECONDS,
        )
        self._password = ""
        self.port = 0

    @property
    def url(self) -> str:
        """The URL of the server, with the password."""
        return f"redis://:{self._password}@{ports.LOOPBACK}:{self.port}/0"

    def url_of(self, user: str) -> str:
        """Return the URL of the server for an ACL user."""
        return f"redis://{user}:{self._password_of(user)}@{ports.LOOPBACK}:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """Process id; None if the server is not running."""
        return self._process.pid

    def start(self) -> None:
        """Start on the previous port if it is free, else on another one, and wait until all data is loaded.

        A server that a killed process left running is stopped first. Raises ServerFailed or ConfigurationError.
        """
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._process.end_leftover()
        self._password = load_or_create_secret(self.home / "password")
        port_file = self.home / "port"
        self.port = ports.previous_or_free(port_file)
        for tries_left in reversed(range(_PORT_TRIES)):
            try:
                self._launch()
                break
            except ServerFailed:
                # the port is not reserved: another program may have taken it
                if ports.is_free(self.port) or not tries_left:
                    raise
                self.port = ports.any_free()
        port_file.write_text(f"{self.port}\n")

    def stop(self) -> None:
        """Shut the server down. No-op if it is not running."""
        self._process.stop()

    def kill(self) -> None:
        """Kill the server with SIGKILL, for fault tests."""
        self._process.kill()

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same port. Raises ServerFailed if the port is taken."""
        self._process.stop()
        self._launch()

    def _launch(self) -> None:
        configuration = self.home / "valkey.conf"
        # in a file: every user of the machine can read arguments
        write_private(configuration, self._configuration())
        self._process.launch([self._program, configuration], account=None, environment=self._environment())
        self._process.wait_until(self._answers, _START_SECONDS)

    def _environment(self) -> dict[str, str]:
        """Return the environment of the server, with the allocator to preload unless the caller preloads something."""
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environment = {"GLIBC_TUNABLES": _MALLOC} | inherited
        if "LD_PRELOAD" not in environment:
            try:
                environment["LD_PRELOAD"] = str(find_allocator(self._program, environment))
            except AllocatorUnusable as reason:
                self._process.log(f"analytics: starts without mimalloc, so an event takes longer: {reason}")
        return environment

    def _configuration(self) -> str:
        return "\n".join(
            (
                f"bind {ports.LOOPBACK}",
                f"port {self.port}",
                f"requirepass {self._password}",
                *(
                    f"user {user} on >{self._password_of(user)} {' '.join(rules)}"
                    for user, rules in self._users.items()
                ),
                f'dir "{self.home.resolve()}"',
                "daemonize no",
                "appendonly yes",
                f"appendfsync {self._fsync}",
                "aof-use-rdb-preamble yes",
                # keys and hashes hardly compress, and compression triples the CPU time of each rewrite of the file
                "rdbcompression no",
                # the append-only file suffices; each snapshot would cost a fork
                'save ""',
                # frees a removed entry at once; in a shared node its bytes stay until all its entries are removed
                "stream-node-max-entries 1",
                f"maxmemory {self._max_memory_bytes}",
                "maxmemory-policy noeviction",
                "tcp-keepalive 60",
                "",
            )
        )

    def _password_of(self, user: str) -> str:
        return load_or_create_secret(self.home / f"password-{user}")

    def _answers(self) -> bool:
        try:
            with socket.create_connection((ports.LOOPBACK, self.port), timeout=5) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                with connection.makefile("rb") as replies:
                    return replies.readline() == b"+OK\r\n" and replies.readline() == b"+PONG\r\n"
        except OSError:
            return False

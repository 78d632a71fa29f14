"""Keys that were issued to services."""

from __future__ import annotations

from migrations.script import run_script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table; what runs already does not know it."""
    run_script("0004_api_keys.up.sql")


def downgrade() -> None:
    """Drop it; every issued key is void."""
    run_script("0004_api_keys.down.sql")

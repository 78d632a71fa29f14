"""What retention removed is remembered, so that it is never counted again."""

from __future__ import annotations

from migrations.script import run_script

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two tables and two outcomes; the horizon of a database that has removed events starts above them."""
    run_script("0008_retention_horizon.up.sql")


def downgrade() -> None:
    """Drop both tables; what was removed can be counted again."""
    run_script("0008_retention_horizon.down.sql")

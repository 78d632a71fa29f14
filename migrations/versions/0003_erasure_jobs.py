"""Erasures that were asked for, and what they removed."""

from __future__ import annotations

from migrations.script import run_script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table; what runs already does not know it."""
    run_script("0003_erasure_jobs.up.sql")


def downgrade() -> None:
    """Drop it; who was erased stays in erased_users."""
    run_script("0003_erasure_jobs.down.sql")

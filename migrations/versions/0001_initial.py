"""Every table, index, partition and view of the first release."""

from __future__ import annotations

from migrations.script import run_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything in an empty database."""
    run_script("0001_initial.up.sql")


def downgrade() -> None:
    """Drop everything, data included."""
    run_script("0001_initial.down.sql")

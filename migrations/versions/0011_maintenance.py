"""Maintenance that scales: terms of leadership."""

from __future__ import annotations

from migrations.script import run_script

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables of maintenance."""
    run_script("0011_maintenance.up.sql")


def downgrade() -> None:
    """Drop them."""
    run_script("0011_maintenance.down.sql")

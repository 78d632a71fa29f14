"""Bytes that erasures leave in files are known and can be purged; no login makes large objects."""

from __future__ import annotations

from migrations.script import run_script

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table and a function, and collect no statistics of learners' texts from now on."""
    run_script("0009_erasure_residue.up.sql")


def downgrade() -> None:
    """Drop both; rights and statistics are as before."""
    run_script("0009_erasure_residue.down.sql")

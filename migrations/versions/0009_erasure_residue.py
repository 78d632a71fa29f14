"""Bytes that erasures leave in files can be purged; the audit log says whose events were shown."""

from __future__ import annotations

from migrations.script import run_script

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table, a function and a column; collect no statistics of learners' texts from now on."""
    run_script("0009_erasure_residue.up.sql")


def downgrade() -> None:
    """Drop them; rights and statistics are as before."""
    run_script("0009_erasure_residue.down.sql")

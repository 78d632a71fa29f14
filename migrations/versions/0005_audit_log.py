"""Who read or changed what."""

from __future__ import annotations

from migrations.script import run_script

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table; what runs already does not know it."""
    run_script("0005_audit_log.up.sql")


def downgrade() -> None:
    """Drop it; nobody knows any more who read what."""
    run_script("0005_audit_log.down.sql")

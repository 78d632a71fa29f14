"""Rights of each kind of process, and no more."""

from __future__ import annotations

from migrations.script import run_script

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make three group roles; what runs already goes on as the owner."""
    run_script("0006_roles.up.sql")


def downgrade() -> None:
    """Take the rights back; logins that had them can do nothing more."""
    run_script("0006_roles.down.sql")

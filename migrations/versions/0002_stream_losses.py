"""Where the streams stood, and what they lost since."""

from __future__ import annotations

from migrations.script import run_script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two tables; what runs already does not know them."""
    run_script("0002_stream_losses.up.sql")


def downgrade() -> None:
    """Drop both; known losses are forgotten."""
    run_script("0002_stream_losses.down.sql")

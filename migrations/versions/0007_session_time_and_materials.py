"""When sessions were active, how long they say they were to the microsecond, and each learner's materials."""

from __future__ import annotations

from migrations.script import run_script

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns and a table, without reading or rewriting a row; `analytics rebuild` fills them from raw events."""
    run_script("0007_session_time_and_materials.up.sql")


def downgrade() -> None:
    """Drop them; what they say of raw events that are gone is lost."""
    run_script("0007_session_time_and_materials.down.sql")

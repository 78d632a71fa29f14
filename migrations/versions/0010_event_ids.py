"""Ids that are no UUID belong to the service that chose them; conflicts between events of one id are counted."""

from __future__ import annotations

from migrations.script import run_script

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two tables; from now on workers look for the events of the release before under its ids."""
    run_script("0010_event_ids.up.sql")


def downgrade() -> None:
    """Drop both tables. Events that are sent again by a release that maps ids otherwise count again."""
    run_script("0010_event_ids.down.sql")

"""The database's schema as a line of Alembic revisions; each is an up and a down file of plain SQL."""

"""Moves entries of the stream into the database."""

"""Publishes entries of the stream to live subscribers."""

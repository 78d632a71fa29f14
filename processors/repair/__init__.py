"""Stores entries again on demand: from the stream, or from dead letters."""

"""Appends, reads, counts and trims the entries of the streams."""

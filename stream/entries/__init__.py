"""Entries of the streams: appended, read by groups, counted, trimmed."""

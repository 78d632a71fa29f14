"""Answers from stored records: what the figures mean. Pure."""

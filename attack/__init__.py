"""Sends hostile input to a running system, watches what it costs, and searches for input that costs more."""

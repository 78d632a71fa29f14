"""Writes batches of events to the raw events and every aggregate, and verifies and rebuilds aggregates."""

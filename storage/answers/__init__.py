"""Reads the data of answers: aggregates and single events."""

"""Authenticates services and learners."""

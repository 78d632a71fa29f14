"""Shared by tests: real servers, keys, settings, and helpers."""

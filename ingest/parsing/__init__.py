"""Turns the body of a request into events."""

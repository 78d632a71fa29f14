"""Decides how an event is stored."""

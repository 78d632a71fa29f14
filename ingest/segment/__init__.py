"""Segment's tracking API, translated into events."""

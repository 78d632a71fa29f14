"""Periodic chores: retention, trimming, erasure and measurement."""

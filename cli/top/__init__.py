"""The view of `analytics top`."""

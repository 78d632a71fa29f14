"""Removes data past its retention."""

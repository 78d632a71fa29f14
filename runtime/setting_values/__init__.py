"""Validation of single settings: each module returns the value or raises with the reason and the fix."""

"""Long runs with faults, and their reports."""

"""What answers are read from: aggregates, and single events."""

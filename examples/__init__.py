"""Real data, and programs that use the system."""

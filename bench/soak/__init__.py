"""Long runs with faults, and what came of them."""

"""What is removed when its retention is over."""

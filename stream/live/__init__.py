"""Live messages: published, kept for subscribers that come back, pruned."""

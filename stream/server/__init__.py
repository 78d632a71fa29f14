"""The Redis server itself: connections, errors, durability, load, permissions."""

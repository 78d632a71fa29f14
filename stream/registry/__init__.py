"""Small data that processes share: issued keys, key changes, tombstones, unmapped names."""

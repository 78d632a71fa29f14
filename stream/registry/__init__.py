"""Small facts that processes share: issued keys, rotations, tombstones, unmapped names."""

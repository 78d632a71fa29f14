"""What tests stand on: real servers, keys, settings."""

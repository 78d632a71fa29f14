"""The firewall in front of storage: finds text that may identify a person, and rejects, redacts or hashes it."""

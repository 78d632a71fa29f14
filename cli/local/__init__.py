"""The system that `analytics up` runs on one machine: embedded servers, supervised processes, their secrets."""

"""The door for senders that speak Segment's tracking API."""

"""Publishes live messages, keeps them for subscribers that reconnect, and prunes them."""

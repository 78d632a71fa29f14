"""Batches of events: written once each, into raw events and every aggregate; verified and rebuilt."""

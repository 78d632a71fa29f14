"""Synthetic learners and the traffic they cause."""

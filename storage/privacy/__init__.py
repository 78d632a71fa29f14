"""Finds, exports and erases the data of one learner, and records who read it."""

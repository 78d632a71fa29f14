"""Data about one learner: found, exported, erased; and who read it."""

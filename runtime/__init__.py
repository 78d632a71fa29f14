"""What any process needs: settings, clock, errors, identity of callers and learners, orderly start and stop."""

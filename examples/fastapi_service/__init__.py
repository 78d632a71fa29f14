"""A service of the platform that sends what its learners do."""

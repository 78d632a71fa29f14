"""A service of the platform that tells what its learners do."""

"""Who asks: credentials of services and learners."""

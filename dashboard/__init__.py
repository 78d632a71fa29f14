"""The read service: answers questions about learners and the platform, and sends live events."""

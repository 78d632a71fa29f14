"""A subscriber that prints who earned XP."""

"""The questions of the read service: one table, and the functions that answer."""

"""The database itself: connections, schema, logins, errors."""

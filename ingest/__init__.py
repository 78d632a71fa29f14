"""Events in: HTTP to stream. Validates, hashes, appends; never touches Postgres."""

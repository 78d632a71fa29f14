"""HTTP for every service: the server, its limits, problem documents, credentials."""

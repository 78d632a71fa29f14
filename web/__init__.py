"""The HTTP layer of all services: server, limits, routing, problem documents, credentials."""

"""Serves an ASGI application over HTTP/1.1 and WebSocket, within limits."""

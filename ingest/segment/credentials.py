"""Reads the write key of a Segment client: HTTP Basic with the key as user name and an empty password."""

from __future__ import annotations

import base64


def write_key(authorization: str | None) -> str | None:
    """Return the key of an `Authorization: Basic` header; None if it is another header or has a password."""
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return user if user and colon and not password else None

"""Messages for people."""

from __future__ import annotations


def is_sentence(message: str) -> bool:
    """Whether a message begins with a capital letter, ends with a full stop and is not written in capitals."""
    return message[:1].isupper() and message.endswith(".") and not message.isupper()

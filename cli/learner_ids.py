"""Learners as people name them: by the id that services send."""

from __future__ import annotations

from runtime.errors import ConfigurationError


def learner_id(option: str, text: str) -> str:
    """Return the id. Raises ConfigurationError, which names the option, when there is none."""
    if not text.strip():
        raise ConfigurationError(f"{option} is empty; give the id of a learner as services send it")
    return text

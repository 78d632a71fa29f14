"""The kinds of personal data that detectors find."""

from __future__ import annotations

from enum import StrEnum


class Personal(StrEnum):
    """A kind of personal data."""

    EMAIL = "email"
    PHONE = "phone"
    CARD = "card"
    NATIONAL_ID = "national_id"
    IP_ADDRESS = "ip_address"
    SECRET = "secret"  # noqa: S105 - the word, not one

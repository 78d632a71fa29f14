"""A client's request id is used only if it has the format of an id; other text could be personal."""

from __future__ import annotations

import re

import pytest

from web.request_id import request_id_of


@pytest.mark.parametrize(
    "given",
    [
        "4bf92f3577b34da6",
        "0AF7651916CD43DD8448EB211C80319C",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "01234567890123456789012345678901",
        "a" * 64,
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "6BA7B810-9DAD-11D1-80B4-00C04FD430C8",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "01arz3ndektsv4rrffq69g5fav",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ],
)
def test_an_id_is_kept(given: str) -> None:
    assert request_id_of(given) == given


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "mine-1",
        "ada.lovelace@example.com",
        "adalovelace",
        "236588185607304759",
        "4111111111111111",
        "4242424242424242424",
        "123456789012345678901234567890",
        "4bf92f3577b34da",
        "a" * 65,
        "6ba7b810-9dad-11d1-80b4",
        "6ba7b810_9dad_11d1_80b4_00c04fd430c8",
        "01ARZ3NDEKTSV4RRFFQ69G5FAU",
        "81ARZ3NDEKTSV4RRFFQ69G5FAV",
        "GB82WEST12345698765432",
        "RSSMRA85T10A562S",
        "4bf92f3577b34da6\n",
        "4bf92f3577b34da6 4bf92f3577b34da6",
        "\uff14bf92f3577b34da6",
    ],
)
def test_anything_else_is_replaced(given: str | None) -> None:
    assert re.fullmatch("[0-9a-f]{16}", request_id_of(given))
    assert request_id_of(given) != request_id_of(given)

"""Calls the validators of other libraries. A validator that raises counts as "not of this kind"."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import phonenumbers
from stdnum import iban, luhn
from stdnum.br import cpf
from stdnum.cn import ric
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.in_ import aadhaar
from stdnum.it import codicefiscale

from ingest.work import WORK
from telemetry import internal_events as telemetry

REGIONS: Final = ("US", "GB", "IT", "DE", "FR", "ES")
"""Countries whose phone numbers are recognised without a country code."""


def _phone(number: str, region: str | None = None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


def _ip_address(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


MAX_CANDIDATES: Final = 32
"""Maximum candidates of one text. No id and no name contains so many numbers."""

_UNITS_OF_A_PHONE: Final = 90
_UNITS: Final = 15


class TooManyCandidates(Exception):
    """A text contains more candidate numbers than are validated."""


VALIDATORS: Final[Mapping[str, Callable[[str], bool]]] = {
    "luhn": luhn.is_valid,
    "codice_fiscale": codicefiscale.is_valid,
    "nir": nir.is_valid,
    "dni": dni.is_valid,
    "nie": nie.is_valid,
    "cpf": cpf.is_valid,
    "aadhaar": aadhaar.is_valid,
    "ric": ric.is_valid,
    "iban": iban.is_valid,
    "ip_address": _ip_address,
    "phone": _phone,
    **{f"phone_{region.lower()}": partial(_phone, region=region) for region in REGIONS},
}
"""Validators by name. The name is the value of the label `detector` of the metric that counts failures."""


def is_valid(name: str, text: str) -> bool:
    """Return whether the named validator accepts the text. If it raises, count the failure and return False.

    Raises TooManyCandidates after MAX_CANDIDATES of one text.
    """
    WORK.candidates += 1
    if WORK.candidates > MAX_CANDIDATES:
        raise TooManyCandidates
    WORK.units += _UNITS_OF_A_PHONE if name.startswith("phone") else _UNITS
    try:
        return bool(VALIDATORS[name](text))
    except Exception as error:  # noqa: BLE001 - foreign code on foreign text: any defect in it would cost the event
        telemetry.detector_failed(name, type(error).__name__)
        return False

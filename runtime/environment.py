"""Reads the settings of this process from its environment."""

from __future__ import annotations

import re
from typing import Final

from pydantic import ValidationError
from pydantic_settings import SettingsError

from runtime.errors import ConfigurationError
from runtime.settings import Settings

_FIELD: Final = re.compile(r'field "(\w{1,64})"')


def load_settings() -> Settings:
    """Return the settings. Raises ConfigurationError, which names each invalid variable and repeats no value."""
    try:
        return Settings()
    except SettingsError as error:
        # the message names the field that is not valid JSON
        field = _FIELD.search(str(error))
        name = _variable((field[1],)) if field else "settings"
        raise ConfigurationError(f"bad settings: {name}: write it as JSON, see docs/configuration.md") from None
    except ValidationError as error:
        faults = "; ".join(
            f"{_variable(fault['loc'])}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_input=False)
        )
        raise ConfigurationError(f"bad settings: {faults}") from None


def _variable(location: tuple[int | str, ...]) -> str:
    if not location:
        return "settings"
    name = str(location[0])
    return name if name.isupper() else f"ANALYTICS_{name.upper()}"

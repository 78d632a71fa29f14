"""A setting that would let callers choose their address is refused at the start."""

from __future__ import annotations

import json

import pytest

from runtime.environment import load_settings
from runtime.errors import ConfigurationError

VARIABLE = "ANALYTICS_TRUSTED_PROXIES"


@pytest.mark.parametrize(
    "proxies",
    [
        ["*"],
        ["10.0.0.5", "*"],
        ["0.0.0.0/0"],
        ["::/0"],
        ["0.0.0.0/1", "128.0.0.0/1"],
        ["2000::/3"],
        ["::ffff:0:0/96"],
        ["::ffff:0:0/97"],
        ["::/8"],
    ],
    ids=" ".join,
)
def test_everybody_is_no_proxy(monkeypatch: pytest.MonkeyPatch, proxies: list[str]) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps(proxies))
    with pytest.raises(ConfigurationError, match=rf"{VARIABLE}: .*choose (its|their) address.*such as 10\.0\.0\.5"):
        load_settings()


@pytest.mark.parametrize("proxy", ["proxy.example.org", "10.0.0.1/8", "", "10.0.0.0/33", "10.0.0.5 "])
def test_a_proxy_that_can_match_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps([proxy]))
    with pytest.raises(ConfigurationError, match=f"{VARIABLE}: one of them is not an address or a network"):
        load_settings()


def test_proxies_that_are_named_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    proxies = ("10.0.0.5", "10.0.0.0/8", "192.168.7.0/24", "::1", "fe80::1%eth0", "fd00::/8", "::ffff:10.0.0.0/104")
    monkeypatch.setenv(VARIABLE, json.dumps(proxies))
    assert load_settings().trusted_proxies == proxies

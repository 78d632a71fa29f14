"""Proxies of the environment are used only for other machines."""

from __future__ import annotations

import os

import httpx
import pytest

from cli.proxies import exempt_loopback, needs_no_proxy
from cli.target import Target
from runtime.errors import ConfigurationError


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        # set first, so that monkeypatch undoes what the code sets
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "api.localhost", "::1", "0.0.0.0"])
def test_loopback_hosts_need_no_proxy(host: str) -> None:
    assert needs_no_proxy(host)


def test_other_hosts_need_a_proxy_unless_no_proxy_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not needs_no_proxy("analytics.example.org")
    assert not needs_no_proxy("10.0.0.1")
    monkeypatch.setenv("NO_PROXY", ".example.org,10.0.0.1")
    assert needs_no_proxy("analytics.example.org")
    assert needs_no_proxy("10.0.0.1")


async def test_a_socks_proxy_is_named_where_it_is_used_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match=r"ALL_PROXY.*NO_PROXY"):
        Target("https://analytics.example.org", "key").open(1)
    for url in ("http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"):
        async with Target(url, "key").open(1) as client:
            with pytest.raises(httpx.ConnectError):
                await client.get("/")
    monkeypatch.setenv("NO_PROXY", "analytics.example.org")
    async with Target("https://analytics.example.org", "key").open(1):
        pass


@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
def test_no_proxy_is_extended_and_keeps_its_entries(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "a.example.org, localhost")
    exempt_loopback()
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "a.example.org,localhost,127.0.0.1,::1"

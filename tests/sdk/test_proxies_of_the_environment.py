"""Connections through the proxies of the environment, and around them."""

from __future__ import annotations

import pytest
from studyin_analytics import Client, ConfigurationError, EventBus, proxies
from studyin_analytics.proxies import proxy_of

from tests.support.scripted_ingest import ScriptedIngest

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


def test_events_go_through_the_proxy_of_the_environment(
    ingest: ScriptedIngest, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HTTP_PROXY", ingest.url.replace("http://", "http://ada:p%40ss@"))
    client = Client("http://ingest.test", write_key="key")
    client.track("xp_earned", user_id="u", properties={"xp_amount": 5})
    assert client.shutdown(10)
    [headers] = ingest.headers
    assert headers[":path"] == "http://ingest.test/api/analytics/events/batch"
    assert headers["proxy-authorization"] == "Basic YWRhOnBAc3M="


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_what_is_on_this_machine_is_reached_past_every_proxy(
    ingest: ScriptedIngest, environment: pytest.MonkeyPatch, name: str
) -> None:
    environment.setenv(name, "http://127.0.0.1:1")
    client = Client(ingest.url, write_key="key")
    client.track("xp_earned", user_id="u", properties={"xp_amount": 5})
    assert client.shutdown(10)
    assert len(ingest.requests) == 1


@pytest.mark.parametrize(
    "url", ["http://localhost:8080", "https://api.localhost", "http://127.3.2.1", "http://[::1]:80", "ws://LOCALHOST"]
)
def test_loopback_has_no_proxy(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("ALL_PROXY", "http://proxy.test:3128")
    assert proxy_of(url) is None


def test_a_proxy_is_chosen_by_scheme_and_hosts_may_be_excepted(environment: pytest.MonkeyPatch) -> None:
    assert proxy_of("https://ingest.test") is None
    environment.setenv("HTTPS_PROXY", "proxy.test:3128")
    environment.setenv("NO_PROXY", "inside.test,10.0.0.1")
    assert proxy_of("https://ingest.test") == proxy_of("wss://ingest.test/live") == "http://proxy.test:3128"
    assert proxy_of("http://ingest.test") is None
    assert proxy_of("https://a.inside.test") is None
    assert proxy_of("https://10.0.0.1:8443") is None


@pytest.mark.parametrize("proxy", ["socks5://proxy.test:1080", "socks5h://u:p@proxy.test:1080"])
def test_a_socks_proxy_without_its_package_is_a_clear_error(environment: pytest.MonkeyPatch, proxy: str) -> None:
    environment.setenv("ALL_PROXY", proxy)
    environment.setattr(proxies, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"pip install urllib3\[socks\].*NO_PROXY"):
        Client("https://ingest.test", write_key="key")
    with pytest.raises(ConfigurationError, match=r"pip install python-socks\[asyncio\].*NO_PROXY"):
        EventBus("https://dashboard.test", key="key")
    for fine in (Client("http://localhost:1", write_key="key"), Client(disabled=True)):
        assert fine.shutdown(0)


@pytest.mark.parametrize("proxy", ["ftp://proxy.test", "http://", "http://proxy.test:port"])
def test_a_proxy_that_is_none_is_named(environment: pytest.MonkeyPatch, proxy: str) -> None:
    environment.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigurationError, match="proxy of the environment for https"):
        Client("https://ingest.test", write_key="key")

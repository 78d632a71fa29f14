"""Which origins pages have, and which of them may be let in by a setting."""

from __future__ import annotations

import pytest

from runtime.environment import load_settings
from runtime.errors import ConfigurationError
from runtime.setting_values.origins import authority_of

NONE = [
    "", " ", "*", "http://", "http://[", "http://[::1", "http://[::g]", "http://[1:2:3]", "http://a:b", "http://a:99999",
    "http://a:999999", "http://a:1:2", "http://a/", "http://a/b", "http://a?b", "http://a#b", "http://x@a",
    "http://a b", "http://a, http://b", "//a", "a", "a:80", "http:a", "http:/a", "file://", "NULL", "null,null",
    "http://\xe4", "http://\u0130", "http://a\\b", "http://%61", "http://a:\u0661", "1http://a",
]  # fmt: skip


@pytest.mark.parametrize("text", NONE)
def test_anything_else_is_no_origin(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        authority_of(text)


@pytest.mark.parametrize(
    ("origin", "authority"),
    [
        ("null", ""),
        ("https://Learn.example", "learn.example"),
        ("http://a_b.example:8080", "a_b.example:8080"),
        ("http://127.0.0.1:1", "127.0.0.1:1"),
        ("http://[::1]:80", "[::1]:80"),
        ("chrome-extension://abcdef", "abcdef"),
    ],
)
def test_an_origin_has_a_host_and_perhaps_a_port(origin: str, authority: str) -> None:
    assert authority_of(origin) == authority


@pytest.mark.parametrize("text", ["https://a.example,http://b:8080", '["https://a.example", "http://b:8080"]'])
def test_origins_are_named_one_by_one(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ANALYTICS_CORS_ORIGINS", text)
    assert load_settings().cors_origins == ("https://a.example", "http://b:8080")


NOT_ALLOWED = [
    "*", "null", '["*"]', '["null"]', '["https://a.example", "*"]', "https://a.example, null", '["https://*.example"]',
    '["https://a.example/"]', '["https://A.example"]', '["ftp://a.example"]', '["a.example"]', '["http://["]',
    "[", "[1]", "{}",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_ALLOWED)
def test_wildcard_null_and_malformed_origins_are_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ANALYTICS_CORS_ORIGINS", text)
    with pytest.raises(ConfigurationError, match="ANALYTICS_CORS_ORIGINS"):
        load_settings()


@pytest.mark.parametrize("variable", ["ANALYTICS_TRUSTED_PROXIES", "ANALYTICS_API_KEYS", "ANALYTICS_PII_ALLOW"])
def test_a_setting_that_is_not_json_is_named(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "*secret*")
    with pytest.raises(ConfigurationError, match=f"{variable}.*JSON") as told:
        load_settings()
    assert "secret" not in str(told.value)

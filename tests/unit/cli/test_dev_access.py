from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.local.dev_access import ensure_access
from runtime.clock import utc_now
from runtime.errors import ConfigurationError
from runtime.settings import Settings
from web.credentials import configured_keys


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    file = tmp_path / "access.json"

    first = ensure_access(file, {})

    assert ensure_access(file, {}) == first
    assert file.stat().st_mode & 0o777 == 0o600
    assert ensure_access(tmp_path / "other.json", {}).write_key != first.write_key


def test_services_accept_the_keys_for_what_they_are(tmp_path: Path) -> None:
    access = ensure_access(tmp_path / "access.json", {})
    environment = access.environment()
    settings = Settings.model_validate(
        {
            "api_keys": json.loads(environment["ANALYTICS_API_KEYS"]),
            "jwt_secret": environment["ANALYTICS_JWT_SECRET"],
            "pseudonym_keys": environment["ANALYTICS_PSEUDONYM_KEYS"],
        }
    )
    accepted = configured_keys(settings)

    def scopes(key: str) -> frozenset[str]:
        found = accepted.verify(key, utc_now())
        assert found is not None
        return found.scopes

    assert scopes(access.write_key) == {"events:write"}
    assert scopes(access.read_key) == {"events:read", "learning:read", "system:read"}
    assert "privacy:admin" in scopes(access.admin_key)
    assert settings.pseudonymizer().pseudonym("ada")


def test_each_service_is_given_the_keys_it_needs(tmp_path: Path) -> None:
    access = ensure_access(tmp_path / "access.json", {})
    ingest, dashboard = str(access.ingest_environment()), str(access.dashboard_environment())
    assert access.write_key in ingest
    assert not any(secret in ingest for secret in (access.read_key, access.admin_key, access.jwt_secret))
    assert all(secret in dashboard for secret in (access.read_key, access.admin_key, access.jwt_secret))
    assert access.write_key not in dashboard


def test_a_secret_of_the_environment_wins_and_is_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "access.json"
    kept = ensure_access(file, {})

    given = ensure_access(file, {"ANALYTICS_PSEUDONYM_KEYS": "7:ab", "ANALYTICS_JWT_SECRET": ""})

    assert given.pseudonym_keys == "7:ab"
    assert given.jwt_secret == kept.jwt_secret
    assert ensure_access(file, {}) == kept


@pytest.mark.parametrize("text", ["", "{", "[]", '{"write_key": "a"}'])
def test_a_damaged_file_is_not_replaced(tmp_path: Path, text: str) -> None:
    file = tmp_path / "access.json"
    file.write_text(text)

    with pytest.raises(ConfigurationError, match="damaged"):
        ensure_access(file, {})

    assert file.read_text() == text

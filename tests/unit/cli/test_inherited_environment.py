"""Processes of `analytics up` inherit no secret."""

from __future__ import annotations

from pydantic import SecretStr

from cli.local.inherited_environment import inherited_environment, proxy_variables
from runtime.settings import SECRET_FIELDS, Settings

CALLER = {
    "PATH": "/bin",
    "LC_ALL": "C",
    "PYTHONWARNINGS": "error",
    "ANALYTICS_BATCH_SIZE": "7",
    "REDIS_HOST": "example",
    "ANALYTICS_JWT_SECRET": "secret",
    "ANALYTICS_API_KEYS": "secret",
    "ANALYTICS_PSEUDONYM_KEYS": "secret",
    "ANALYTICS_API_KEY_SECRET": "secret",
    "ANALYTICS_READ_KEY": "secret",
    "DATABASE_URL": "secret",
    "REDIS_URL": "secret",
    "REDIS_PASSWORD": "secret",
    "PGPASSWORD": "secret",
    "POSTGRES_WRITER_PASSWORD": "secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "HTTPS_PROXY": "http://user:secret@proxy",
}


def test_every_setting_that_is_secret_is_kept_back() -> None:
    typed = {name for name, field in Settings.model_fields.items() if str(SecretStr.__name__) in str(field.annotation)}
    assert typed | {"api_keys"} == SECRET_FIELDS


def test_nothing_is_inherited_but_what_is_known_and_no_secret() -> None:
    kept = inherited_environment(CALLER)
    assert kept == {
        "PATH": "/bin",
        "LC_ALL": "C",
        "PYTHONWARNINGS": "error",
        "ANALYTICS_BATCH_SIZE": "7",
        "REDIS_HOST": "example",
    }
    assert proxy_variables(CALLER) == {"HTTPS_PROXY": "http://user:secret@proxy"}

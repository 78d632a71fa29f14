"""Checks that the URL of a server requires encryption and verification of its certificate."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from runtime.errors import ConfigurationError


def require_encrypted_redis(url: str) -> None:
    """Raise ConfigurationError unless the client encrypts and verifies the server's certificate and host name."""
    address = urlsplit(url)
    options = parse_qs(address.query)
    weakened = options.get("ssl_cert_reqs", ["required"])[0] != "required" or options.get(
        "ssl_check_hostname", ["true"]
    )[0].lower() in ("false", "0", "no", "off")
    if address.scheme not in ("rediss", "rediss+sentinel") or weakened:
        raise ConfigurationError(
            "ANALYTICS_REQUIRE_TLS is set: REDIS_URL must begin with rediss:// or rediss+sentinel:// and check the"
            " certificate; ?ssl_ca_certs=FILE names the authority"
        )


def require_encrypted_postgres(url: str) -> None:
    """Raise ConfigurationError unless the client encrypts and verifies the server's certificate and host name."""
    if parse_qs(urlsplit(url).query).get("sslmode") != ["verify-full"]:
        raise ConfigurationError(
            "ANALYTICS_REQUIRE_TLS is set: DATABASE_URL must have sslmode=verify-full;"
            " sslrootcert=FILE names the authority"
        )

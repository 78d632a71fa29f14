"""The certificate of a listener. New connections use a renewed one without a restart."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from runtime.errors import ConfigurationError
from runtime.polling import poll
from telemetry.certificate import certificate_loaded, certificate_refused

CHECK_INTERVAL: Final = timedelta(minutes=1)
"""Interval at which the files are read."""


def expiry_of(chain: bytes) -> datetime:
    """Return when the first certificate of a chain (PEM) expires. Raises ValueError."""
    # imported with the first certificate: it takes 11 MB
    from cryptography.x509 import load_pem_x509_certificate

    return load_pem_x509_certificate(chain).not_valid_after_utc


class Certificate:
    """A certificate with its chain and its key, from two PEM files."""

    context: ssl.SSLContext
    """For new connections. Open connections keep the context that they began with."""

    def __init__(self, chain_file: str, key_file: str) -> None:
        """Read both files. Raises ConfigurationError if they cannot be used."""
        self._chain_file = chain_file
        self._key_file = key_file
        self._digest = b""
        try:
            self._load_if_changed()
        except (OSError, ValueError) as error:
            # OSError includes the errors of ssl
            raise ConfigurationError(
                f"ANALYTICS_TLS_CERT_FILE or ANALYTICS_TLS_KEY_FILE cannot be used: {error}"
            ) from None

    async def run(self, stop: asyncio.Event) -> None:
        """Load changed files at every interval until `stop` is set. While they cannot be used, the old pair stays."""
        await poll(self._renew, CHECK_INTERVAL, stop)

    async def _renew(self) -> None:
        try:
            await asyncio.to_thread(self._load_if_changed)
        except (OSError, ValueError) as error:
            certificate_refused(error)

    def _load_if_changed(self) -> None:
        chain = Path(self._chain_file).read_bytes()
        digest = hashlib.sha256(chain + Path(self._key_file).read_bytes()).digest()
        if digest == self._digest:
            return
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        # an encrypted key is refused: without a password OpenSSL would ask for one on the terminal
        context.load_cert_chain(self._chain_file, self._key_file, password="")
        expires_at = expiry_of(chain)
        self.context, self._digest = context, digest
        certificate_loaded(expires_at)

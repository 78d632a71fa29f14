"""What `analytics doctor` finds on its own machine: the certificate and the disk."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from cli.diagnosis import check_certificate, check_disk
from runtime.settings import Settings

EXPIRY = datetime(2031, 5, 1, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "server.pem"
    trustme.CA().issue_cert("localhost", not_after=EXPIRY).cert_chain_pems[0].write_to_path(file)
    return Settings.model_validate({"environment": "dev", "tls_cert_file": str(file)})


@pytest.mark.parametrize(
    ("left", "status"), [(timedelta(days=14), "ok"), (timedelta(days=13), "warn"), (timedelta(0), "fail")]
)
def test_a_certificate_is_found_before_it_expires(settings: Settings, left: timedelta, status: str) -> None:
    found = check_certificate(settings, EXPIRY - left)
    assert (found.status, found.detail) == (status, "valid until 2031-05-01 00:00 UTC")


def test_a_certificate_that_cannot_be_read_is_found(settings: Settings, tmp_path: Path) -> None:
    assert settings.tls_cert_file is not None
    for change in (lambda file: file.write_text("no certificate"), Path.unlink):
        change(Path(settings.tls_cert_file))
        assert check_certificate(settings, EXPIRY).status == "fail"


def test_without_tls_there_is_no_certificate() -> None:
    assert check_certificate(Settings.model_validate({"environment": "dev"}), EXPIRY).detail == "none is set"


class Usage(NamedTuple):
    free: int


@pytest.mark.parametrize(("free", "status"), [(2 * 1024**3, "ok"), (2 * 1024**3 - 1, "warn")])
def test_a_disk_that_is_nearly_full_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, status: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free))
    assert check_disk(tmp_path).status == status

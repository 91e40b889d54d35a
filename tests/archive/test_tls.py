"""TLS: mutual for DICOM, https for DICOMweb; who is not trusted is told why."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from ir_nav.archive import ArchiveError, StudyQuery, TlsFiles, WebArchive, open_archive
from tests.archive.conftest import Ward
from tests.archive.orthanc import PASSWORD, USER, Certificates
from tests.archive.relay import Relay


@pytest.fixture
def https(secure: Ward, certificates: Certificates) -> Iterator[str]:
    """The secure archive's DICOMweb behind a TLS relay."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    with Relay(secure.running.web_port, tls=context) as relay:
        yield f"https://127.0.0.1:{relay.port}/dicom-web"


@pytest.mark.parametrize("retrieve", ["get", "move"])
def test_mutual_tls_finds_and_fetches(
    secure: Ward, certificates: Certificates, retrieve: str, tmp_path: Path
) -> None:
    client = open_archive(secure.dimse(tls=certificates.files, retrieve=retrieve))
    client.echo()
    (study,) = client.find_studies(StudyQuery())
    (series,) = client.find_series(study.study_uid)
    assert client.fetch(series, tmp_path).instance_count == 3


def test_an_unknown_signer_is_refused_with_the_cure(
    secure: Ward, certificates: Certificates
) -> None:
    mine = TlsFiles(certificate=certificates.certificate, key=certificates.key)
    with pytest.raises(ArchiveError, match=r"self-signed.*give the CA file"):
        open_archive(secure.dimse(tls=mine)).echo()


def test_an_archive_that_asks_who_we_are_is_told_apart(
    secure: Ward, certificates: Certificates
) -> None:
    nameless = TlsFiles(ca_file=certificates.ca)
    with pytest.raises(ArchiveError, match="whether it asks for a certificate of ours"):
        open_archive(secure.dimse(tls=nameless)).echo()


def test_tls_against_none_and_none_against_tls(
    ward: Ward, secure: Ward, certificates: Certificates
) -> None:
    with pytest.raises(ArchiveError, match="does not agree on TLS"):
        open_archive(ward.dimse(tls=certificates.files)).echo()
    with pytest.raises(ArchiveError, match="whether it expects TLS"):
        open_archive(secure.dimse()).echo()


def test_files_that_are_no_certificates_are_said(secure: Ward, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ArchiveError, match=r"TLS files cannot be used .*ca\.pem"):
        open_archive(secure.dimse(tls=TlsFiles(ca_file=tmp_path / "ca.pem"))).echo()
    with pytest.raises(ArchiveError, match="there is no such CA file"):
        open_archive(secure.web(ca_file=tmp_path / "none.pem")).echo()


def test_https_with_a_password(https: str, certificates: Certificates, tmp_path: Path) -> None:
    archive = WebArchive(
        name="Web", url=https, user=USER, password=PASSWORD, ca_file=certificates.ca
    )
    client = open_archive(archive)
    (study,) = client.find_studies(StudyQuery())
    (series,) = client.find_series(study.study_uid)
    assert client.fetch(series, tmp_path).instance_count == 3
    wrong = archive.model_copy(update={"user": "stranger"})
    with pytest.raises(ArchiveError, match=r"does not accept the user or password \(HTTP 401"):
        open_archive(wrong).echo()
    trusting = archive.model_copy(update={"ca_file": None})
    with pytest.raises(ArchiveError, match=r"certificate is .*give the CA file"):
        open_archive(trusting).echo()


def test_the_environments_ca_does_not_replace_the_archives(
    https: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    import certifi

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    archive = WebArchive(
        name="Web", url=https, user=USER, password=PASSWORD, ca_file=certificates.ca
    )
    open_archive(archive).echo()


def test_c_move_over_tls_needs_a_certificate_of_ours(certificates: Certificates) -> None:
    both = certificates.files
    with pytest.raises(ArchiveError, match="C-MOVE over TLS needs a certificate and a key"):
        TlsFiles(ca_file=both.ca_file).server_context()
    assert both.server_context().verify_mode is ssl.CERT_REQUIRED

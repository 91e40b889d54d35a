"""Debian's Orthanc, dcmtk's servers and certificates: started for the tests, ended by them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ir_nav.archive import TlsFiles

PACKAGES = "orthanc orthanc-dicomweb dcmtk openssl"
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
USER, PASSWORD = "nurse", "s3cret-pass"


def require_programs() -> None:
    """Skips the test where the servers are not installed, and fails it when CI is "true"."""
    programs = ("Orthanc", "storescp", "dcmdump", "openssl")
    # Debian puts Orthanc beside the programs of the administrator.
    missing = [name for name in programs if _program(name) is None]
    if not PLUGIN.exists():
        missing.append(PLUGIN.name)
    if missing:
        message = f"{', '.join(missing)} missing: apt-get install {PACKAGES}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


def program(name: str) -> str:
    """The path of an installed program."""
    found = _program(name)
    assert found is not None, name
    return found


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port: int = reserved.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class Running:
    """An Orthanc: its ports, and the port that it sends images of C-MOVE to."""

    dicom_port: int
    web_port: int
    move_port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}/dicom-web"


@dataclass(frozen=True)
class Certificates:
    """A CA, and a certificate of it for 127.0.0.1 with its key."""

    ca: Path
    certificate: Path
    key: Path

    @property
    def files(self) -> TlsFiles:
        return TlsFiles(ca_file=self.ca, certificate=self.certificate, key=self.key)


def make_certificates(folder: Path) -> Certificates:
    def openssl(*arguments: object) -> None:
        done = subprocess.run(
            [program("openssl"), *map(str, arguments)], capture_output=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr.decode()

    ca, ca_key = folder / "ca.pem", folder / "ca.key"
    key, request, certificate = folder / "a.key", folder / "a.csr", folder / "a.pem"
    extensions = folder / "a.ext"
    extensions.write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    for subject, at, of in (("Ward CA", ca, ca_key), ("Stranger", folder / "x.pem", key)):
        openssl(
            *(
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                2,
                "-subj",
                f"/CN={subject}",
            ),
            *("-keyout", of, "-out", at),
        )
    openssl("req", "-new", "-key", key, "-subj", "/CN=127.0.0.1", "-out", request)
    openssl(
        *("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial"),
        *("-days", 2, "-extfile", extensions, "-out", certificate),
    )
    return Certificates(ca, certificate, key)


@contextmanager
def orthanc(folder: Path, certificates: Certificates | None = None) -> Iterator[Running]:
    """A running Orthanc with DICOMweb; with certificates, DICOM over mutual TLS and a password.

    Its https ends the process of Debian 12's 1.10 at the first request: a relay stands for it.
    """
    require_programs()
    running = Running(free_port(), free_port(), free_port(), folder)
    settings = {
        "Name": "Ward",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(PLUGIN)],
        "DicomAet": "WARD",
        "DicomPort": running.dicom_port,
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowStore": False,
        "DicomAlwaysAllowEcho": False,
        "DicomAlwaysAllowFind": False,
        "DicomAlwaysAllowGet": False,
        "DicomCheckModalityHost": False,
        "DicomModalities": {
            "console": {
                "AET": "IRNAV",
                "Host": "127.0.0.1",
                "Port": running.move_port,
                "UseDicomTls": certificates is not None,
            }
        },
        "HttpPort": running.web_port,
        "RemoteAccessAllowed": True,
        "AuthenticationEnabled": certificates is not None,
        "RegisteredUsers": {USER: PASSWORD},
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    if certificates is not None:
        settings |= {
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(certificates.certificate),
            "DicomTlsPrivateKey": str(certificates.key),
            "DicomTlsTrustedCertificates": str(certificates.ca),
            "DicomTlsRemoteCertificateRequired": True,
        }
    written = folder / "orthanc.json"
    written.write_text(json.dumps(settings))
    with started([program("Orthanc"), str(written)], folder / "orthanc.txt") as process:
        _wait_for(process, folder / "orthanc.txt", (running.dicom_port, running.web_port))
        yield running


@contextmanager
def started(command: Sequence[str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, cwd=output.parent)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[int]:
    """dcmtk's storage server; its port."""
    require_programs()
    port = free_port()
    command = [program("storescp"), *options, str(port)]
    with started(command, folder / "storescp.txt") as process:
        _wait_for(process, folder / "storescp.txt", (port,))
        yield port


def _wait_for(process: subprocess.Popen[bytes], output: Path, ports: Sequence[int]) -> None:
    deadline = time.monotonic() + 30.0
    while not all(map(listens, ports)):
        said = output.read_text(errors="replace")[-3000:]
        assert process.poll() is None, f"the server ended: {said}"
        assert time.monotonic() < deadline, f"the server does not listen: {said}"
        time.sleep(0.05)

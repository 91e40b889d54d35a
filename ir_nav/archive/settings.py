"""The archives a user has named, and the file that keeps them.

Passwords stand in the file, which only its owner may read; they show nowhere else.
"""

from __future__ import annotations

import ipaddress
import json
import os
import ssl
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from platformdirs import user_config_path
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from ir_nav.archive.errors import ArchiveError

# PS3.5 6.2, value representation AE: 16 characters without backslash and control characters.
AeTitle = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=r"^[ -\[\]-~]+$"),
]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(ge=1.0, le=600.0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TlsFiles(_Strict):
    """Files for TLS (PEM). ca_file: who vouches for the archive; the computer's own list without
    it. certificate and key: how we show who we are, where the archive asks for it."""

    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _belong_together(self) -> TlsFiles:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a certificate needs its key, and a key its certificate")
        return self

    def client_context(self) -> ssl.SSLContext:
        """For calling the archive, whose certificate and host name are checked.

        Raises ArchiveError for a file that cannot be used.
        """
        return self._filled(ssl.Purpose.SERVER_AUTH)

    def server_context(self) -> ssl.SSLContext:
        """For being called by the archive (C-MOVE); needs certificate and key.

        With a CA file the archive must show a certificate of it. Raises ArchiveError.
        """
        if self.certificate is None:
            raise ArchiveError(
                "C-MOVE over TLS needs a certificate and a key of this computer: "
                "name both files, or fetch with C-GET"
            )
        context = self._filled(ssl.Purpose.CLIENT_AUTH)
        if self.ca_file is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _filled(self, purpose: ssl.Purpose) -> ssl.SSLContext:
        named = [str(file) for file in (self.ca_file, self.certificate, self.key) if file]
        try:
            context = ssl.create_default_context(
                purpose, cafile=None if self.ca_file is None else str(self.ca_file)
            )
            if self.certificate is not None and self.key is not None:
                context.load_cert_chain(str(self.certificate), str(self.key), password="")
        except (OSError, ValueError) as error:
            raise ArchiveError(
                f"the TLS files cannot be used ({error}): check {', '.join(named)}; they must be "
                "PEM, the key without a passphrase"
            ) from None
        return context


class DimseArchive(_Strict):
    """An archive that speaks DICOM's own protocol. move_port: where we listen during C-MOVE."""

    kind: Literal["dimse"] = "dimse"
    name: Name
    host: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    port: Port = 104
    ae_title: AeTitle
    our_ae_title: AeTitle = "IRNAV"
    retrieve: Literal["get", "move"] = "get"
    move_port: Port = 11112
    tls: TlsFiles | None = None
    timeout_s: Seconds = 30.0


class WebArchive(_Strict):
    """An archive that speaks DICOMweb. url: what stands before /studies."""

    kind: Literal["dicomweb"] = "dicomweb"
    name: Name
    url: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^https?://[^/\s]+")]
    user: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    timeout_s: Seconds = 30.0

    @model_validator(mode="after")
    def _keeps_its_secret(self) -> WebArchive:
        parts = urlsplit(self.url)
        if parts.username is not None or parts.password is not None:
            raise ValueError("url: give user and password in their own fields")
        if (self.user is None) != (self.password is None):
            raise ValueError("a user needs a password, and a password a user")
        open_wire = parts.scheme == "http" and not _is_this_computer(parts.hostname or "")
        if self.password is not None and open_wire:
            raise ValueError("url: a password would be readable on the way: use https")
        return self


Archive = Annotated[DimseArchive | WebArchive, Field(discriminator="kind")]


class _File(_Strict):
    format: Literal[1] = 1
    archives: tuple[Archive, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> _File:
        names = [archive.name for archive in self.archives]
        if len(set(names)) < len(names):
            raise ValueError("archives: two archives have the same name")
        return self


def settings_path() -> Path:
    """Where the user's archives are kept."""
    return user_config_path("ir-nav", appauthor=False) / "archives.json"


def read_archives(path: Path) -> tuple[DimseArchive | WebArchive, ...]:
    """The archives of a settings file; none where there is no file. Raises ArchiveError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError):
        raise ArchiveError(f"{path} cannot be read: check who may read it") from None
    try:
        return _File.model_validate_json(text).archives
    except ValidationError as error:
        raise ArchiveError(f"{path}: {invalid_words(error)}: correct or remove it") from None


def save_archives(path: Path, archives: tuple[DimseArchive | WebArchive, ...]) -> None:
    """Replace the settings file, whole or not at all, readable by its owner alone.

    Raises ArchiveError for two archives of one name and where it cannot be written.
    """
    try:
        kept = _File(archives=archives)
    except ValidationError as error:
        raise ArchiveError(invalid_words(error)) from None
    data = {"format": kept.format, "archives": [_plain(archive) for archive in kept.archives]}
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(data, file, indent=1)
            file.write("\n")
        part.replace(path)
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written ({error.strerror})") from None


def archive_named(
    archives: tuple[DimseArchive | WebArchive, ...], name: str
) -> DimseArchive | WebArchive:
    """The archive of that name; ArchiveError, which lists the names, where there is none."""
    for archive in archives:
        if archive.name == name:
            return archive
    known = ", ".join(archive.name for archive in archives) or "none yet"
    raise ArchiveError(f"there is no archive named '{name}' (known: {known}): add it first")


def invalid_words(error: ValidationError) -> str:
    """What is wrong with an entry, without the values it holds."""
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("dimse", "dicomweb"))
    words = first["msg"].removeprefix("Value error, ")
    return f"{place}: {words}" if place else words


def _plain(archive: DimseArchive | WebArchive) -> dict[str, Any]:
    data: dict[str, Any] = archive.model_dump(mode="json", exclude_none=True)
    if isinstance(archive, WebArchive) and archive.password is not None:
        data["password"] = archive.password.get_secret_value()
    return data


def _is_this_computer(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

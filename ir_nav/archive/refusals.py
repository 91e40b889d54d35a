"""Why an archive could not be talked to, in words with a cure."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress

from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE

from ir_nav.archive.errors import ArchiveError
from ir_nav.archive.settings import DimseArchive

PROBE_S = 3.0

# PS3.8 9.3.4: source and reason of a rejected association.
_CALLING, _CALLED = (1, 3), (1, 7)
_BUSY = ((3, 1), (3, 2))


def not_associated(archive: DimseArchive, association: Association) -> ArchiveError:
    """Why no association came about: rejected, nobody there, or TLS."""
    if association.is_rejected and isinstance(association.acceptor.primitive, A_ASSOCIATE):
        return _rejected(archive, association.acceptor.primitive)
    if association.rejected_contexts:
        return _nothing_accepted(archive, association)
    return unreachable(archive)


def _nothing_accepted(archive: DimseArchive, association: Association) -> ArchiveError:
    asked = {
        f"{UID(one.abstract_syntax or '').name} as {UID(one.transfer_syntax[0]).name}"
        for one in association.requestor.requested_contexts
    }
    first, *more = sorted(asked)
    others = f" and {len(more)} more" if more else ""
    return ArchiveError(
        f"{archive.name} offers nothing of what was asked for ({first}{others}): ask its "
        f"administrator to allow it to '{archive.our_ae_title}'"
    )


def _rejected(archive: DimseArchive, answer: A_ASSOCIATE) -> ArchiveError:
    reason = (answer.result_source or 0, answer.diagnostic or 0)
    if reason == _CALLING:
        words = (
            f"does not know our AE title '{archive.our_ae_title}': have it entered there with "
            "this computer's address, or correct our AE title"
        )
    elif reason == _CALLED:
        words = (
            f"is not called '{archive.ae_title}': correct the archive's AE title (upper and "
            "lower case count)"
        )
    elif reason in _BUSY:
        words = "is busy and takes no further connection: try again in a minute"
    else:
        words = (
            f"refuses the association ({answer.reason_str.lower()}, {answer.source_str.lower()}): "
            "ask its administrator to allow this computer"
        )
    return ArchiveError(f"{archive.name} {words}")


def unreachable(archive: DimseArchive) -> ArchiveError:
    """Why no connection came about: try it bare, then with TLS; what fails is the reason."""
    place = f"{archive.host}:{archive.port}"
    timeout_s = min(PROBE_S, archive.timeout_s)
    try:
        with socket.create_connection((archive.host, archive.port), timeout_s) as bare:
            if archive.tls is not None:
                _shake_hands(archive, bare)
    except socket.gaierror:
        return ArchiveError(
            f"{archive.name}: no computer is named '{archive.host}': check the host"
        )
    except ConnectionRefusedError:
        return ArchiveError(
            f"{archive.name}: nobody listens at {place}: check host and port, and that the archive "
            "is running"
        )
    except ssl.SSLCertVerificationError as error:
        return ArchiveError(f"{archive.name}: {certificate_words(error)}")
    except (ssl.SSLError, ConnectionResetError, EOFError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        return ArchiveError(
            f"{archive.name}: {place} does not agree on TLS ({reason}): check that this port "
            "speaks TLS, and whether it asks for a certificate of ours"
        )
    except OSError as error:
        return ArchiveError(
            f"{archive.name}: {place} does not answer ({error.strerror or 'timed out'}): check "
            "host, port and network"
        )
    hint = "" if archive.tls else ", and whether it expects TLS"
    return ArchiveError(
        f"{archive.name}: {place} closed the connection before an association: check that it is a "
        f"DICOM port{hint}"
    )


def _shake_hands(archive: DimseArchive, bare: socket.socket) -> None:
    assert archive.tls is not None
    with archive.tls.client_context().wrap_socket(bare, server_hostname=archive.host) as secure:
        # TLS 1.3 tells only after the handshake that a certificate of ours is missing.
        secure.settimeout(0.5)
        with suppress(TimeoutError):
            secure.recv(1)


def certificate_words(error: ssl.SSLCertVerificationError) -> str:
    """Why a certificate is not trusted, and what to do."""
    if "self" in error.verify_message and "signed" in error.verify_message:
        return (
            "its certificate is signed by nobody this computer trusts (self-signed): give the CA "
            "file that its administrator hands out"
        )
    if "hostname" in error.verify_message.lower() or "IP address" in error.verify_message:
        return f"its certificate is for another computer ({error.verify_message}): check the host"
    return (
        f"its certificate is not trusted ({error.verify_message}): give the CA file that its "
        "administrator hands out"
    )


# PS3.4 C.4.1.1.4, C.4.2.1.5, C.4.3.1.4 and B.2.3; PS3.7 C.
_STATUS = {
    0x0122: "does not support this kind of image",
    0x0124: "does not allow this to us",
    0xA700: "has no room left",
    0xA701: "could not count the images",
    0xA702: "could not send images of the series",
    0xA801: "does not know where to send the images",
    0xA900: "did not understand the request",
    0xB000: "could not send some images",
    0xFE00: "cancelled the work",
}


def status_words(status: int) -> str:
    """A DIMSE status in words, its number behind."""
    if status in range(0xA700, 0xA800) and status not in _STATUS:
        status_name = _STATUS[0xA700]
    elif status in range(0xA900, 0xAA00):
        status_name = _STATUS[0xA900]
    elif status in range(0xC000, 0xD000):
        status_name = "could not process the request"
    else:
        status_name = _STATUS.get(status, "failed")
    return f"{status_name} (status {status:04X})"

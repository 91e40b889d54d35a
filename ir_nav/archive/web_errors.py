"""What went wrong over HTTP, in words with a cure."""

from __future__ import annotations

import ssl

import requests
from requests import exceptions as failures

from ir_nav.archive.errors import ArchiveError
from ir_nav.archive.refusals import certificate_words
from ir_nav.archive.settings import WebArchive

_STATUS = {
    400: "did not understand the request (HTTP 400): check that its URL ends before /studies",
    401: "does not accept the user or password (HTTP 401): correct them",
    403: "does not allow this to the user (HTTP 403): ask its administrator",
    404: "has no DICOMweb service or no such study there (HTTP 404): check its URL, which ends "
    "before /studies",
    406: "cannot send images in this encoding (HTTP 406): fetch over DIMSE, or ask its "
    "administrator",
    409: "did not take the images (HTTP 409): they may clash with what it holds",
    413: "did not take an image of this size (HTTP 413): ask its administrator",
    415: "does not take images in this encoding (HTTP 415): convert them to an uncompressed "
    "transfer syntax",
    503: "is busy (HTTP 503): try again in a minute",
    507: "has no room left (HTTP 507): ask its administrator",
}


def web_error(archive: WebArchive, error: Exception) -> ArchiveError:
    """The error for what requests, or reading its answer, raised."""
    name = archive.name
    if isinstance(error, failures.HTTPError) and error.response is not None:
        status = error.response.status_code
        return ArchiveError(f"{name} {_STATUS.get(status, f'failed (HTTP {status}): try again')}")
    if isinstance(error, failures.SSLError):
        return ArchiveError(f"{name}: {_tls_words(error)}")
    if isinstance(error, failures.ConnectTimeout):
        return ArchiveError(f"{name} does not answer: check its URL and the network")
    if isinstance(error, failures.ChunkedEncodingError | failures.ContentDecodingError):
        return _dropped(archive)
    if isinstance(error, failures.Timeout):
        return ArchiveError(
            f"{name} did not answer for {archive.timeout_s:.0f} s: nothing half-done was kept. "
            "Try again"
        )
    if isinstance(error, failures.ConnectionError):
        return _no_connection(archive, error)
    if isinstance(error, failures.InvalidURL | failures.TooManyRedirects):
        return ArchiveError(f"{name}: its URL leads nowhere: correct it")
    if isinstance(error, requests.RequestException):
        return ArchiveError(f"{name} failed ({type(error).__name__}): try again")
    return ArchiveError(
        f"{name} sent an image that cannot be read: nothing was kept. Fetch it again"
    )


def _no_connection(archive: WebArchive, error: Exception) -> ArchiveError:
    told = "".join(str(cause) for cause in _causes(error))
    if "NameResolution" in told or "getaddrinfo" in told or "Name or service" in told:
        return ArchiveError(f"{archive.name}: no computer has the name in its URL: correct it")
    if "refused" in told:
        return ArchiveError(
            f"{archive.name}: nobody listens at {archive.url}: check the URL, and that the "
            "archive is running"
        )
    if "timed out" in told:
        return ArchiveError(
            f"{archive.name} did not answer for {archive.timeout_s:.0f} s: nothing half-done was "
            "kept. Try again"
        )
    return _dropped(archive)


def _dropped(archive: WebArchive) -> ArchiveError:
    return ArchiveError(
        f"{archive.name} dropped the connection: nothing half-done was kept. Try again"
    )


def _tls_words(error: Exception) -> str:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return certificate_words(cause)
    if "WRONG_VERSION_NUMBER" in str(error):
        return "its port does not speak TLS: write http in its URL, or take its https port"
    return "it does not agree on TLS: check that its port speaks https"


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what it wraps: requests keeps urllib3's reasons in its arguments."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting and len(found) < 20:
        one = waiting.pop()
        found.append(one)
        inside = [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
        waiting += [next_ for next_ in inside if isinstance(next_, BaseException)]
    return found

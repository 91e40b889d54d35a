"""Wrong names, refusals, lost connections, full disks: words, and nothing half-stored."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless
from pynetdicom import AE
from pynetdicom.presentation import build_context

from ir_nav.archive import (
    ArchiveError,
    DimseArchive,
    SeriesRecord,
    StudyQuery,
    TransferCancelledError,
    WebArchive,
    open_archive,
)
from ir_nav.archive.incoming import IncomingSeries
from ir_nav.archive.retrieve import Receiver, _listening
from tests.archive.conftest import Ward
from tests.archive.made import image, write_series
from tests.archive.orthanc import free_port, listens, storescp
from tests.archive.relay import Relay

# Less than the series, more than its first images.
SOME_BYTES = 500_000
WAYS = ("get", "web")


def through(ward: Ward, way: str, relay: Relay, **changes: object) -> DimseArchive | WebArchive:
    """The archive as seen through the relay."""
    if way == "web":
        return ward.web(url=f"http://127.0.0.1:{relay.port}/dicom-web", **changes)
    return ward.dimse(port=relay.port, **changes)


def port_of(ward: Ward, way: str) -> int:
    return ward.running.web_port if way == "web" else ward.running.dicom_port


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ae_title": "SOMEONE"}, "is not called 'SOMEONE': correct the archive's AE title"),
        ({"our_ae_title": "SOMEONE"}, "does not know our AE title 'SOMEONE'"),
        ({"host": "nobody.invalid"}, "no computer is named 'nobody.invalid'"),
    ],
)
def test_a_wrong_name_is_told_apart(ward: Ward, changes: dict[str, str], words: str) -> None:
    with pytest.raises(ArchiveError, match=words):
        open_archive(ward.dimse(**changes)).echo()


def test_nobody_listening_is_said(ward: Ward) -> None:
    port = free_port()
    with pytest.raises(ArchiveError, match=f"nobody listens at 127.0.0.1:{port}: check host"):
        open_archive(ward.dimse(port=port)).echo()
    with pytest.raises(ArchiveError, match=f"nobody listens at http://127.0.0.1:{port}"):
        open_archive(ward.web(url=f"http://127.0.0.1:{port}")).echo()


def test_a_refused_association_says_its_reason(ward: Ward, tmp_path: Path) -> None:
    with storescp(tmp_path, "--refuse") as port, pytest.raises(ArchiveError, match="refuses the"):
        open_archive(ward.dimse(port=port)).echo()


def test_what_an_archive_does_not_offer_is_said(ward: Ward, tmp_path: Path) -> None:
    with storescp(tmp_path) as port:
        open_archive(ward.dimse(port=port)).echo()
        with pytest.raises(ArchiveError, match=r"nothing of what was asked for .*FIND"):
            open_archive(ward.dimse(port=port)).find_studies(StudyQuery())


def test_an_encoding_that_the_archive_lacks_stops_before_the_first(
    ward: Ward, tmp_path: Path
) -> None:
    (plain,) = write_series(tmp_path / "in", 1)
    packed = tmp_path / "in" / "packed.dcm"
    dataset = pydicom.dcmread(plain)
    dataset.SOPInstanceUID += ".1"
    dataset.compress(JPEG2000Lossless)
    dataset.save_as(packed)
    (tmp_path / "out").mkdir()
    with storescp(tmp_path, "-od", str(tmp_path / "out")) as port:
        client = open_archive(ward.dimse(port=port))
        with pytest.raises(ArchiveError, match=r"does not take CT .* JPEG 2000 .*packed\.dcm"):
            client.store((plain, packed))
        assert list((tmp_path / "out").iterdir()) == []
        assert client.store((plain,)).stored == 1
        assert len(list((tmp_path / "out").iterdir())) == 1


def test_a_path_that_holds_no_dicomweb_is_said(ward: Ward) -> None:
    with pytest.raises(ArchiveError, match=r"no DICOMweb service .*HTTP 404"):
        open_archive(ward.web(url=f"{ward.running.url}-not")).echo()


@pytest.mark.parametrize("way", WAYS)
def test_a_dropped_connection_leaves_nothing(ward: Ward, way: str, tmp_path: Path) -> None:
    series = ward.series
    with Relay(port_of(ward, way), limit_bytes=SOME_BYTES) as relay:
        with pytest.raises(ArchiveError, match=r"nothing (half-done )?was kept"):
            open_archive(through(ward, way, relay)).fetch(series, tmp_path)
        assert relay.passed_bytes > SOME_BYTES // 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_silent_archive_is_given_up_after_its_time(ward: Ward, way: str, tmp_path: Path) -> None:
    series = ward.series
    with Relay(port_of(ward, way), limit_bytes=SOME_BYTES, stalling=True) as relay:
        started_s = time.monotonic()
        with pytest.raises(ArchiveError, match="did not answer for 1 s"):
            open_archive(through(ward, way, relay, timeout_s=1.0)).fetch(series, tmp_path)
        assert time.monotonic() - started_s < 4.0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stalling", [False, True])
@pytest.mark.parametrize("way", ["get", "move", "web"])
def test_cancel_stops_within_a_second(ward: Ward, way: str, stalling: bool, tmp_path: Path) -> None:
    series, asked_s = ward.series, []

    def cancelled() -> bool:
        stop = any(tmp_path.glob(".partial-*/*")) or (way == "move" and any(tmp_path.iterdir()))
        if stop and not asked_s:
            asked_s.append(time.monotonic())
        return stop

    limit = SOME_BYTES if stalling else None
    with Relay(port_of(ward, way), limit_bytes=limit, stalling=stalling) as relay:
        changes = {} if way == "web" else {"retrieve": way}
        client = open_archive(through(ward, way, relay, **changes))
        with pytest.raises(TransferCancelledError):
            client.fetch(series, tmp_path, cancelled=cancelled)
        assert time.monotonic() - asked_s[0] < 1.0
        while relay.connections:
            assert time.monotonic() - asked_s[0] < 2.0, "the archive is still connected"
            time.sleep(0.02)
    time.sleep(0.2)
    assert list(tmp_path.iterdir()) == []
    closing_s = time.monotonic()
    while way == "move" and listens(ward.running.move_port):
        assert time.monotonic() - closing_s < 3.0, "our storage port stays open"
        time.sleep(0.05)


@pytest.mark.parametrize("way", WAYS)
def test_a_cancelled_store_says_how_many_were_stored(ward: Ward, way: str, tmp_path: Path) -> None:
    files = write_series(tmp_path, 5, PatientID=f"CUT-{way}")
    done: list[int] = []
    with pytest.raises(TransferCancelledError, match=r"\d of 5 images were stored whole before"):
        ward.client(way).store(
            files, progress=lambda at, _: done.append(at), cancelled=lambda: bool(done)
        )


def test_c_move_without_a_way_back_says_what_to_enter(ward: Ward, tmp_path: Path) -> None:
    client = open_archive(ward.dimse(retrieve="move", move_port=free_port()))
    with pytest.raises(ArchiveError, match="our AE title entered there with this computer's"):
        client.fetch(ward.series, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_said_before_the_archive_is_asked(ward: Ward, tmp_path: Path) -> None:
    taken = ward.running.web_port
    series, client = ward.series, open_archive(ward.dimse(retrieve="move", move_port=taken))
    with pytest.raises(ArchiveError, match=f"port {taken} of this computer cannot be opened"):
        client.fetch(series, tmp_path)


def test_our_storage_port_answers_the_archive_alone(ward: Ward, tmp_path: Path) -> None:
    archive, series = ward.dimse(move_port=free_port()), ward.series
    context = [build_context("1.2.840.10008.5.1.4.1.1.2")]
    with IncomingSeries(series, tmp_path) as incoming, _listening(archive, Receiver(incoming)):
        for calling, called, welcome in (
            ("INTRUDER", "IRNAV", False),
            ("WARD", "SOMEONE", False),
            ("WARD", "IRNAV", True),
        ):
            entity = AE(ae_title=calling)
            call = entity.associate("127.0.0.1", archive.move_port, context, ae_title=called)
            assert (call.is_established, call.is_rejected) == (welcome, not welcome)
            if welcome:
                stray = image(1, "1.2.3", "1.2.4")
                assert call.send_c_store(stray).Status == 0xA900
                mine = pydicom.dcmread(ward.originals[0])
                assert call.send_c_store(mine).Status == 0x0000
                call.release()
        assert incoming.count == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", ["move", "web"])
def test_a_full_disk_is_said_and_leaves_nothing(
    ward: Ward, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series, client = ward.series, ward.client(way)
    write, room = Path.write_bytes, [4]

    def fills_up(path: Path, data: bytes) -> int:
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", fills_up)
    with pytest.raises(ArchiveError, match=r"is full: nothing was kept. Make room"):
        client.fetch(series, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said(ward: Ward, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match="cannot be written to"):
        ward.client("get").fetch(ward.series, tmp_path / "file")


def encoded(dataset: pydicom.Dataset, folder: Path) -> bytes:
    path = folder / "one.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path.read_bytes()


def test_a_series_that_is_not_whole_is_not_placed(tmp_path: Path) -> None:
    made, into = image(1, "1.2.3", "1.2"), tmp_path / "into"
    series = SeriesRecord("1.2", "1.2.3", "CT", 1, "", 2)
    for promised in ((made.SOPInstanceUID, "1.2.3.99"), ()):
        with IncomingSeries(series, into) as incoming:
            assert incoming.add(encoded(made, tmp_path))
            with pytest.raises(ArchiveError, match="sent 1 of 2 images"):
                incoming.place(promised)
        assert list(into.iterdir()) == []
        assert not incoming.add(encoded(made, tmp_path)), "what comes after the end is refused"


def test_an_image_with_cut_pixels_is_refused(tmp_path: Path) -> None:
    made = image(1, "1.2.3", "1.2")
    made.PixelData = made.PixelData[:-2]
    series = SeriesRecord("1.2", "1.2.3", "CT", 1, "", 1)
    with IncomingSeries(series, tmp_path / "into") as incoming:
        with pytest.raises(ArchiveError, match="cut pixels"):
            incoming.add(encoded(made, tmp_path))
        with pytest.raises(ArchiveError, match="cannot be read"):
            incoming.add(b"not an image at all")


@pytest.mark.parametrize("uid", ["../../etc", "1.2/3", "", "1.2.3\n", "1" * 70])
def test_an_identifier_that_is_a_path_is_refused(uid: str, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="is no series identifier"):
        IncomingSeries(SeriesRecord("1.2", uid, "CT", 1, "", 1), tmp_path)

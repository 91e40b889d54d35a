"""PS3.15 annex E: nothing of the patient is left, what belongs together stays together."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import SecondaryCaptureImageStorage

from ir_nav.archive import DeidentifyError, Keeping, TransferCancelledError, deidentify_files
from ir_nav.archive.confidentiality import Action, action_for
from ir_nav.archive.deidentify import Deidentifier
from ir_nav.imaging import read_volume
from tests.archive.made import IDENTIFYING, image, new_uid, talkative
from tests.archive.orthanc import program, require_programs
from tests.data import data_path

BASIC = Keeping()
STUDY, SERIES = new_uid(), new_uid()


def written(folder: Path, *images: FileDataset) -> tuple[Path, ...]:
    folder.mkdir(exist_ok=True)
    paths = []
    for number, one in enumerate(images):
        # The name of a file names patients, too.
        path = folder / f"ÄCKERMANN-KLARA-{number}.dcm"
        one.save_as(path, enforce_file_format=True)
        paths.append(path)
    return tuple(paths)


def done(paths: tuple[Path, ...], out: Path, keeping: Keeping = BASIC) -> list[FileDataset]:
    result = deidentify_files(paths, out, keeping)
    assert result.left_out == ()
    files = sorted(out.rglob("*.dcm"))
    assert len(files) == result.written
    return sorted(map(pydicom.dcmread, files), key=lambda one: one.InstanceNumber)


def test_nothing_that_identifies_is_left_anywhere_in_the_bytes(tmp_path: Path) -> None:
    paths = written(tmp_path / "in", *(talkative(n, SERIES, STUDY) for n in (1, 2)))
    before = b"".join(path.read_bytes() for path in paths)
    for text in IDENTIFYING:
        assert text.encode("latin-1") in before, "the test's own image must hold it"
    out = tmp_path / "out"
    done(paths, out)
    after = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    names = " ".join(str(path.relative_to(out)) for path in out.rglob("*"))
    originals = [pydicom.dcmread(path) for path in paths]
    uids = {str(e.value) for one in originals for e in one.iterall() if e.VR == "UI"}
    uids = {uid for uid in uids if not uid.startswith("1.2.840.10008.")}
    assert len(uids) >= 7
    for text in (*IDENTIFYING, *uids):
        assert text.encode("latin-1") not in after, text
        assert text not in names


def test_the_picture_and_its_geometry_stay_and_the_file_says_what_was_done(tmp_path: Path) -> None:
    original = talkative(1, SERIES, STUDY)
    (one,) = done(written(tmp_path / "in", original), tmp_path / "out")
    for kept in ("PixelData", "Rows", "ImagePositionPatient", "PixelSpacing", "Modality"):
        assert one[kept].value == original[kept].value
    assert one.AnatomicRegionSequence[0].CodeMeaning == "Liver"
    assert one.PatientIdentityRemoved == "YES"
    assert one.LongitudinalTemporalInformationModified == "REMOVED"
    assert [item.CodeValue for item in one.DeidentificationMethodCodeSequence] == ["113100"]
    assert str(one.PatientID).startswith("ANON-")
    assert one.StudyDate == ""
    assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID
    assert not [e for e in one.iterall() if e.tag.is_private]
    assert 0x60003000 not in one


def test_identifiers_stay_together_in_a_set_and_differ_between_sets(tmp_path: Path) -> None:
    other = image(3, new_uid(), STUDY)
    paths = written(tmp_path / "in", *(talkative(n, SERIES, STUDY) for n in (1, 2)), other)
    first, second, third = done(paths, tmp_path / "out")
    assert first.SeriesInstanceUID == second.SeriesInstanceUID != third.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    for shared in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert first[shared].value == second[shared].value == third[shared].value
    # The same image is meant from two places.
    source = first.SourceImageSequence[0]
    assert source.ReferencedSOPInstanceUID == second.SourceImageSequence[0].ReferencedSOPInstanceUID
    assert source.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    again, *_ = done(paths, tmp_path / "again")
    assert again.StudyInstanceUID != first.StudyInstanceUID
    assert again.PatientID != first.PatientID


def test_kept_dates_move_together_and_the_birthday_goes(tmp_path: Path) -> None:
    later = image(2, SERIES, STUDY, StudyDate="20260401", ContentDate="2026.04.01")
    later.AcquisitionDateTime = "20260401120000.5"
    paths = written(tmp_path / "in", image(1, SERIES, STUDY), later)
    one, two = done(paths, tmp_path / "out", Keeping(dates=True))
    day, other = (
        np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}") for d in (one.StudyDate, two.StudyDate)
    )
    assert other - day == np.timedelta64(15, "D")
    assert np.timedelta64(29, "D") < np.datetime64("2026-03-17") - day
    assert one.StudyTime == "091500"
    assert two.ContentDate == two.StudyDate
    assert two.AcquisitionDateTime == f"{two.StudyDate}120000.5"
    assert one.PatientBirthDate == ""
    assert one.LongitudinalTemporalInformationModified == "MODIFIED"
    codes = [item.CodeValue for item in one.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113107"]


def test_the_device_is_kept_when_asked_for(tmp_path: Path) -> None:
    paths = written(tmp_path / "in", talkative(1, SERIES, STUDY))
    (gone,) = done(paths, tmp_path / "out")
    assert gone.get("DeviceSerialNumber") in (None, "REMOVED")
    assert gone.get("StationName") in (None, "REMOVED")
    (kept,) = done(paths, tmp_path / "kept", Keeping(device=True))
    assert (kept.DeviceSerialNumber, kept.StationName) == ("SER-55-1", "CT-ROOM-4")
    assert kept.DeviceUID == f"{STUDY}.3"
    assert kept.DeidentificationMethodCodeSequence[1].CodeValue == "113109"


def test_a_name_in_an_attribute_that_the_profile_keeps_is_found(tmp_path: Path) -> None:
    told = image(1, SERIES, STUDY, FilterType="KLARA")
    result = deidentify_files(written(tmp_path / "in", told), tmp_path / "out", Keeping())
    assert result.written == 0
    ((_, reason),) = result.left_out
    assert "FilterType still names patient" in reason
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"BurnedInAnnotation": "YES"}, "header says that text is burned in"),
        ({"Modality": "US"}, "ultrasound"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "secondary capture"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "screen save"),
    ],
)
def test_pictures_that_may_show_names_need_a_persons_word(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    risky = image(1, SERIES, STUDY, **changes)
    paths = written(tmp_path / "in", risky, image(2, SERIES, STUDY))
    out = tmp_path / "out"
    with pytest.raises(DeidentifyError, match=f"1 of 2 pictures .*{words}.*nothing was written"):
        deidentify_files(paths, out, Keeping())
    assert not out.exists()
    assert deidentify_files(paths, out, Keeping(), pixels_checked=True).written == 2


def test_reports_and_broken_files_are_left_out_by_name(tmp_path: Path) -> None:
    report = image(1, SERIES, STUDY, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33")
    paths = written(tmp_path / "in", report, image(2, SERIES, STUDY))
    broken = tmp_path / "in" / "broken.dcm"
    broken.write_bytes(paths[1].read_bytes()[:150])
    result = deidentify_files((*paths, broken), tmp_path / "out", Keeping())
    assert result.written == 1
    reasons = {path.name: reason for path, reason in result.left_out}
    assert "structured report" in reasons[paths[0].name]
    assert set(reasons) == {paths[0].name, "broken.dcm"}


def test_cancel_and_a_full_set_leave_nothing_half_written(tmp_path: Path) -> None:
    paths = written(tmp_path / "in", *(image(n, SERIES, STUDY) for n in (1, 2, 3)))
    seen: list[int] = []
    with pytest.raises(TransferCancelledError):
        deidentify_files(
            paths,
            tmp_path / "out",
            Keeping(),
            progress=lambda at, _: seen.append(at),
            cancelled=lambda: len(seen) > 1,
        )
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(DeidentifyError, match="cannot be written to"):
        deidentify_files(paths, paths[0] / "out", Keeping())
    with pytest.raises(DeidentifyError, match="no DICOM file"):
        deidentify_files((), tmp_path / "out", Keeping())


@pytest.mark.parametrize(
    ("keyword", "keeping", "action"),
    [
        ("PatientName", Keeping(), Action.EMPTY),
        ("PatientBirthDate", Keeping(dates=True), Action.EMPTY),
        ("StudyDate", Keeping(dates=True), Action.MOVE_DATE),
        ("InstitutionName", Keeping(dates=True, device=True), Action.DUMMY),
        ("DeviceSerialNumber", Keeping(device=True), Action.KEEP),
        ("StationAETitle", Keeping(device=True), Action.REMOVE),
        ("SOPInstanceUID", Keeping(), Action.NEW_UID),
        ("SOPClassUID", Keeping(), Action.KEEP),
        ("EncapsulatedDocument", Keeping(), Action.DUMMY),
        ("PatientComments", Keeping(), Action.REMOVE),
        ("Rows", Keeping(), Action.KEEP),
    ],
)
def test_the_standards_table_decides(keyword: str, keeping: Keeping, action: Action) -> None:
    tag = pydicom.datadict.tag_for_keyword(keyword)
    assert tag is not None
    assert action_for(tag, keeping) is action


def test_a_value_of_every_kind_can_be_replaced() -> None:
    """Whatever a table entry's representation is, what comes out is written and read again."""
    everything = image(1, SERIES, STUDY)
    for tag, (vr, *_) in pydicom.datadict.DicomDictionary.items():
        group = tag >> 16
        if group in (0x0000, 0x0002, 0x0004, 0x7FE0, 0xFFFE) or tag in everything:
            continue
        kind = vr.split(" or ")[0]
        make = VALUES.get(kind)
        if make is not None:
            everything.add_new(tag, kind, make())
    count = len(everything)
    assert count > 3000
    Deidentifier(b"secret", Keeping()).apply(everything)
    again = pydicom.dcmread(_saved(everything))
    left = [e for e in again.iterall() if "TELL" in str(e.value)]
    kept = {e.keyword for e in left}
    # What the table does not name is kept: none of it holds a person's name or a date.
    assert all(e.VR not in ("PN", "DA", "DT") for e in left)
    assert not kept & {"PatientComments", "InstitutionName", "OperatorsName", "ProtocolName"}


VALUES: dict[str, Callable[[], object]] = {
    **{vr: lambda: "TELL" for vr in ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT")},
    **{vr: lambda: 1 for vr in ("FD", "FL", "SL", "SS", "UL", "US")},
    **{vr: lambda: b"TELL" for vr in ("OB", "OW", "UN")},
    **{vr: lambda: "1" for vr in ("DS", "IS")},
    "DA": lambda: "20260317",
    "DT": lambda: "20260317101500",
    "TM": lambda: "101500",
    "AS": lambda: "077Y",
    "UI": new_uid,
    "SQ": lambda: [Dataset()],
}


def _saved(dataset: FileDataset) -> object:
    from io import BytesIO

    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    stream.seek(0)
    return stream


def test_a_real_ct_is_the_same_volume_and_valid_for_another_toolkit(tmp_path: Path) -> None:
    require_programs()
    archive = zipfile.ZipFile(data_path("ct", "chest_LIDC-IDRI-0001_dicom.zip"))
    names = sorted(name for name in archive.namelist() if name.endswith(".dcm"))[40:46]
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / Path(name).name).write_bytes(archive.read(name))
    result = deidentify_files(
        sorted((tmp_path / "in").iterdir()), tmp_path / "out", Keeping(dates=True, device=True)
    )
    (folder,) = result.folders
    before, after = read_volume(tmp_path / "in"), read_volume(folder)
    assert np.array_equal(before.voxels, after.voxels)
    assert np.allclose(before.ct_from_voxel, after.ct_from_voxel)
    for path in folder.iterdir():
        dump = subprocess.run(
            [program("dcmdump"), str(path)], capture_output=True, check=False, timeout=30
        )
        assert dump.returncode == 0, dump.stderr
        assert b"LIDC-IDRI" not in dump.stdout
        assert not dump.stderr, dump.stderr

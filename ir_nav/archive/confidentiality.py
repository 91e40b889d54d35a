"""What DICOM PS3.15 annex E does with each attribute (table E.1-1, edition 2026c).

The basic profile's column comes from dicom-anonymizer, which generates it from the standard's
text. The columns of the two options are written here: with modified dates every date and time
of the table is kept but moved, save birth and position fix; the device's identity is a list.
Where the standard leaves a choice (X/Z, X/D, Z/D), the one that is valid in every kind of image
is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from typing import Final

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

EDITION: Final = "2026c"


class Action(Enum):
    """What happens to a value."""

    REMOVE = auto()
    EMPTY = auto()
    DUMMY = auto()
    NEW_UID = auto()
    MOVE_DATE = auto()
    KEEP = auto()


_ACTIONS: Final[Mapping[str, Action]] = {
    "X_TAGS": Action.REMOVE,
    "Z_TAGS": Action.EMPTY,
    "X_Z_TAGS": Action.EMPTY,
    "D_TAGS": Action.DUMMY,
    "Z_D_TAGS": Action.DUMMY,
    "X_D_TAGS": Action.DUMMY,
    "X_Z_D_TAGS": Action.DUMMY,
    "U_TAGS": Action.NEW_UID,
    "X_Z_U_STAR_TAGS": Action.NEW_UID,
}

_DATES: Final = ("DA", "TM", "DT")
_NOT_MOVED: Final = ("PatientBirthDate", "PatientBirthTime", "GPSTimeStamp")

# Column "Rtn. Dev. Id. Opt.", K. AE titles (C there) get a dummy, as in the basic profile.
_DEVICE: Final = (
    "BeamHoldTransitionDateTime",
    "CalibrationDate",
    "CalibrationDateTime",
    "CalibrationTime",
    "CassetteID",
    "DateOfInstallation",
    "DateOfLastCalibration",
    "DateOfLastDetectorCalibration",
    "DateOfManufacture",
    "DateTimeOfLastCalibration",
    "DetectorID",
    "DeviceDescription",
    "DeviceLabel",
    "DeviceSerialNumber",
    "DeviceUID",
    "GantryID",
    "GeneratorID",
    "LensMake",
    "LensModel",
    "LensSerialNumber",
    "LensSpecification",
    "ManufacturerDeviceClassUID",
    "ManufacturerDeviceIdentifier",
    "ModifyingDeviceID",
    "ModifyingSystem",
    "PerformedStationGeographicLocationCodeSequence",
    "PerformedStationName",
    "PerformedStationNameCodeSequence",
    "PlateID",
    "ScheduledProcedureStepLocation",
    "ScheduledStationGeographicLocationCodeSequence",
    "ScheduledStationName",
    "ScheduledStationNameCodeSequence",
    "ScheduledStudyLocation",
    "SourceManufacturer",
    "SourceSerialNumber",
    "StationName",
    "TimeOfLastCalibration",
    "TimeOfLastDetectorCalibration",
    "TransducerIdentificationSequence",
    "TreatmentMachineName",
    "UDISequence",
    "UniqueDeviceIdentifier",
    "XRayDetectorID",
    "XRayDetectorLabel",
    "XRaySourceID",
)


@dataclass(frozen=True, slots=True)
class Keeping:
    """Options of the profile. dates: keep the times between events, with dates moved by the same
    number of days for one patient. device: keep what identifies the scanner."""

    dates: bool = False
    device: bool = False

    @property
    def codes(self) -> tuple[tuple[str, str], ...]:
        """Profile and options by code and meaning (PS3.16 CID 7050)."""
        codes = [("113100", "Basic Application Confidentiality Profile")]
        if self.dates:
            meaning = "Retain Longitudinal Temporal Information Modified Dates Option"
            codes.append(("113107", meaning))
        if self.device:
            codes.append(("113109", "Retain Device Identity Option"))
        return tuple(codes)


def action_for(tag: int, keeping: Keeping) -> Action:
    """What to do with a standard attribute; KEEP where the table does not name it.

    Overlays (60xx) and curves (50xx) are removed whole. Dates and names of persons that the table
    does not know (younger than it) are treated as those that it knows.
    """
    if tag >> 24 in (0x50, 0x60):
        return Action.REMOVE
    vr = _vr(tag)
    in_table = _table().get(tag)
    if in_table is None and vr not in (*_DATES, "PN"):
        return Action.KEEP if keyword_for_tag(tag) else Action.REMOVE
    if keeping.dates and vr in _DATES and keyword_for_tag(tag) not in _NOT_MOVED:
        return Action.MOVE_DATE
    if keeping.device and tag in _device_tags():
        return Action.KEEP
    return in_table or (Action.KEEP if vr == "TM" else Action.REMOVE)


@cache
def _table() -> Mapping[int, Action]:
    from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector

    columns = dicom_anonymization_database_selector(f"dicomfields_{EDITION}")
    return {
        place[0] << 16 | place[1]: action
        for name, action in _ACTIONS.items()
        for place in columns[name]
        if len(place) == 2
    }


@cache
def _device_tags() -> frozenset[int]:
    tags = [tag_for_keyword(keyword) for keyword in _DEVICE]
    return frozenset(tag for tag in tags if tag is not None)


def _vr(tag: int) -> str:
    return dictionary_VR(tag) if keyword_for_tag(tag) else ""

"""A DICOM dataset without the patient's identity (PS3.15 annex E.1.1)."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from ir_nav.archive.confidentiality import EDITION, Action, Keeping, action_for
from ir_nav.archive.errors import DeidentifyError

REMOVED: Final = "REMOVED"
DUMMY_DAY: Final = "19000101"
# Dates are moved back by one month to ten years.
LEAST_DAYS, MOST_DAYS = 30, 3650
# Shorter texts than this occur by chance.
LEAST_TELLING = 5

_DUMMIES: Final[dict[str, Any]] = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT"), REMOVED),
    **dict.fromkeys(("FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"), 0),
    **dict.fromkeys(("OB", "OD", "OF", "OL", "OV", "OW", "UN"), bytes(8)),
    **dict.fromkeys(("DS", "IS"), "0"),
    "AS": "000Y",
    "AT": 0,
    "DA": DUMMY_DAY,
    "PN": f"{REMOVED}^",
    "DT": f"{DUMMY_DAY}000000",
    "TM": "000000",
    "UR": "http://removed.invalid",
}
_TELLING: Final = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "AccessionNumber",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "ReferringPhysicianName",
    "InstitutionName",
)
_TEXTS: Final = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")

# The content of these is the report, the drawing or the document itself.
_CONTENT: Final = {
    "1.2.840.10008.5.1.4.1.1.88.": "a structured report",
    "1.2.840.10008.5.1.4.1.1.104.": "an encapsulated document",
    "1.2.840.10008.5.1.4.1.1.11.": "a presentation state with annotations",
    "1.2.840.10008.5.1.4.1.1.9.": "a waveform with annotations",
}
_PIXELS: Final = {
    "US": "ultrasound, where names are commonly burned in",
    "IVUS": "ultrasound, where names are commonly burned in",
    "ES": "an endoscope's picture, where names are commonly burned in",
    "XC": "a photograph",
    "GM": "a photograph",
    "OT": "a picture of unknown origin",
}
_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"


def unfit_reason(dataset: Dataset) -> str | None:
    """Why a file cannot be de-identified by changing its header; None when it can."""
    class_uid = str(dataset.get("SOPClassUID", ""))
    for beginning, words in _CONTENT.items():
        if class_uid.startswith(beginning):
            return f"{words}: its content cannot be cleaned automatically"
    return None


def pixel_risk(dataset: Dataset) -> str | None:
    """Why the picture itself may show who the patient is; None where nothing says so."""
    if str(dataset.get("BurnedInAnnotation", "")).upper() == "YES":
        return "its header says that text is burned in"
    class_uid = str(dataset.get("SOPClassUID", ""))
    if class_uid == _CAPTURE or class_uid.startswith(f"{_CAPTURE}."):
        return "a secondary capture, where names are commonly burned in"
    kinds = [str(kind).upper() for kind in dataset.get("ImageType") or ()]
    if any("SCREEN SAVE" in kind for kind in kinds):
        return "a screen save, where names are commonly burned in"
    return _PIXELS.get(str(dataset.get("Modality", "")))


class Deidentifier:
    """Applies profile and options. What belongs together in a set stays together: the same
    secret gives the same identifiers, pseudonyms and days. Without the secret none of them leads
    back."""

    def __init__(self, secret: bytes, keeping: Keeping) -> None:
        self._secret = secret
        self._keeping = keeping

    def apply(self, dataset: FileDataset) -> None:
        """De-identify a whole file in place.

        Raises DeidentifyError where a text of the patient's is left in an attribute that the
        profile keeps, and for content that cannot be cleaned.
        """
        if reason := unfit_reason(dataset):
            raise DeidentifyError(reason)
        known = _telling_texts(dataset)
        patient = str(dataset.get("PatientID") or dataset.get("PatientName") or "")
        self._clean(dataset, self._days(patient))
        self._declare(dataset, patient)
        _require_clean(dataset, known)
        dataset.preamble = bytes(128)
        dataset.file_meta = _new_meta(dataset)

    def new_uid(self, uid: str) -> str:
        """Another identifier, always the same for the same one (PS3.5 B.2)."""
        digest = self._digest("uid", uid)
        return f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}"

    def pseudonym(self, patient: str) -> str:
        """A name in place of the patient's."""
        return f"ANON-{self._digest('patient', patient).hex()[:10].upper()}"

    def _days(self, patient: str) -> timedelta:
        number = int.from_bytes(self._digest("days", patient)[:8], "big")
        return timedelta(days=LEAST_DAYS + number % (MOST_DAYS - LEAST_DAYS))

    def _digest(self, purpose: str, text: str) -> bytes:
        return hashlib.blake2b(
            text.strip().encode("utf-8"), key=self._secret, person=purpose.encode("ascii")
        ).digest()

    def _clean(self, dataset: Dataset, back: timedelta) -> None:
        for tag in list(dataset.keys()):
            action = Action.REMOVE if tag.is_private else action_for(tag, self._keeping)
            if action is Action.REMOVE or tag.element == 0:
                del dataset[tag]
                continue
            element = dataset[tag]
            if element.VR == "SQ" and action in (Action.KEEP, Action.NEW_UID):
                for item in element.value:
                    self._clean(item, back)
            else:
                self._change(dataset, tag, element, action, back)

    def _change(
        self, dataset: Dataset, tag: BaseTag, element: DataElement, action: Action, back: timedelta
    ) -> None:
        if action is Action.EMPTY:
            dataset[tag] = DataElement(tag, element.VR, Sequence() if element.VR == "SQ" else None)
        elif action is Action.DUMMY:
            self._replace(element)
        elif action is Action.NEW_UID and element.VR == "UI":
            element.value = _each(element.value, self.new_uid)
        elif action is Action.NEW_UID:
            self._replace(element)
        elif action is Action.MOVE_DATE and element.VR in ("DA", "DT"):
            element.value = _each(element.value, lambda text: _moved(text, back))

    def _replace(self, element: DataElement) -> None:
        if element.VR == "SQ":
            for item in element.value:
                for inner in item:
                    self._replace(inner)
        elif element.VR == "UI":
            element.value = _each(element.value, self.new_uid)
        else:
            element.value = _DUMMIES.get(element.VR)

    def _declare(self, dataset: Dataset, patient: str) -> None:
        dataset.PatientID = self.pseudonym(patient)
        dataset.PatientName = f"{dataset.PatientID}^"
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = f"DICOM PS3.15 {EDITION} annex E, by ir-nav"
        dataset.LongitudinalTemporalInformationModified = (
            "MODIFIED" if self._keeping.dates else "REMOVED"
        )
        items = []
        for code, meaning in self._keeping.codes:
            item = Dataset()
            item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
            items.append(item)
        dataset.DeidentificationMethodCodeSequence = Sequence(items)


def _new_meta(dataset: FileDataset) -> FileMetaDataset:
    """Only what a file must say of itself: the old one names the sender."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return meta


def _each(value: Any, change: Callable[[str], str]) -> Any:
    if value is None or value == "":
        return value
    if isinstance(value, MultiValue | list):
        return [change(str(one)) for one in value]
    return change(str(value))


def _moved(text: str, back: timedelta) -> str:
    """A date or date and time earlier by so many days; '' for one that is not complete."""
    plain = text.replace(".", "") if re.match(r"^\d{4}\.\d\d\.\d\d$", text) else text
    try:
        day = date(int(plain[:4]), int(plain[4:6]), int(plain[6:8]))
        return (day - back).strftime("%Y%m%d").zfill(8) + plain[8:]
    except (ValueError, OverflowError):
        return ""


def _telling_texts(dataset: Dataset) -> frozenset[str]:
    """Texts that must not be left over, in upper case: names by their parts too."""
    found: set[str] = set()
    for keyword in _TELLING:
        value = dataset.get(keyword)
        several = value if isinstance(value, MultiValue | list) else [value]
        for one in several:
            whole = str(one or "").strip()
            found |= {whole, *re.split(r"[\^= ,]+", whole)} if "Name" in keyword else {whole}
    return frozenset(text.upper() for text in found if len(text) >= LEAST_TELLING)


def _require_clean(dataset: Dataset, known: frozenset[str]) -> None:
    for element in dataset.iterall():
        if element.VR not in _TEXTS or element.value is None:
            continue
        text = str(element.value).upper()
        if any(one in text for one in known):
            raise DeidentifyError(
                f"the attribute {element.keyword or element.tag} still names patient, physician "
                "or institution: clear it in the original, then try again"
            )

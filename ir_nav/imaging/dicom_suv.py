"""Standardised uptake values of PET by body weight.

After QIBA's vendor-neutral pseudo-code for SUVbw ("Standardized Uptake Value (SUV)", QIBA wiki)
and DICOM PS3.3 C.8.9.1 and C.8.9.2 (PET Series and PET Isotope modules).
"""

from __future__ import annotations

import math
from datetime import datetime

from pydicom.dataset import Dataset

from ir_nav.imaging.dicom_parse import code, item, number, text, texts

SUV_UNIT = "SUVbw g/ml"

# Philips and GE keep what the standard has no place for in private blocks.
_PHILIPS, _GE = "Philips PET Private Group", "GEMS_PETD_01"
_PLAUSIBLE_WEIGHT_KG = (0.5, 400.0)
_LONGEST_WAIT_S = 24.0 * 3600.0


class _SilentError(Exception):
    """The header lacks something; the text names it."""


def suv_factor(dataset: Dataset) -> tuple[float, str, str | None]:
    """(factor, unit, note): rescaled PET values times the factor are in the unit.

    SUVbw in g/ml where the header gives what is needed, else the header's own unit with
    factor 1 and a note that says what is missing.
    """
    units = code(dataset, "Units")
    try:
        return _factor(dataset, units), SUV_UNIT, None
    except _SilentError as missing:
        shown = {"BQML": "Bq/ml", "CNTS": "counts", "GML": "g/ml"}.get(units, units)
        return 1.0, shown, f"SUV cannot be worked out: {missing}"


def _factor(dataset: Dataset, units: str) -> float:
    if units == "GML":
        if code(dataset, "SUVType") not in ("", "BW"):
            raise _SilentError(f"the values are SUV of type {text(dataset, 'SUVType')}")
        return 1.0
    if units == "CNTS":
        factor = _private(dataset, 0x7053, _PHILIPS, 0x00)
        if not factor:
            raise _SilentError("the values are counts")
        return factor
    if units != "BQML":
        raise _SilentError(f"the values are in {units or 'an unknown unit'}")
    corrected = texts(dataset, "CorrectedImage")
    if not {"ATTN", "DECY"} <= set(corrected):
        raise _SilentError("the images are not corrected for attenuation and decay")
    weight_kg = number(dataset, "PatientWeight")
    if weight_kg is None or not _PLAUSIBLE_WEIGHT_KG[0] <= weight_kg <= _PLAUSIBLE_WEIGHT_KG[1]:
        raise _SilentError("the patient's weight is not given")
    return weight_kg * 1000.0 / _dose_at_scan_bq(dataset)


def _dose_at_scan_bq(dataset: Dataset) -> float:
    """The injected activity decayed to the time that the images are corrected to."""
    agent = item(dataset, "RadiopharmaceuticalInformationSequence")
    dose_bq = number(agent, "RadionuclideTotalDose")
    half_life_s = number(agent, "RadionuclideHalfLife")
    if not dose_bq or not half_life_s or dose_bq < 0.0 or half_life_s < 0.0:
        raise _SilentError("injected activity or half-life are not given")
    decay = text(dataset, "DecayCorrection")
    if decay == "ADMIN":
        return dose_bq
    if decay != "START":
        raise _SilentError("it is not said to which time the decay is corrected")
    scan = _scan_start(dataset)
    waited_s = (scan - _injected(dataset, agent, scan)).total_seconds()
    if not 0.0 <= waited_s < _LONGEST_WAIT_S:
        raise _SilentError("the times of injection and scan contradict each other")
    return dose_bq * math.exp2(-waited_s / half_life_s)


def _scan_start(dataset: Dataset) -> datetime:
    """Series time, unless the series was made after the acquisition: then GE's own element."""
    series = _moment(text(dataset, "SeriesDate") + text(dataset, "SeriesTime"))
    acquired = _moment(text(dataset, "AcquisitionDate") + text(dataset, "AcquisitionTime"))
    if series is not None and (acquired is None or series <= acquired):
        return series
    stated = _private_text(dataset, 0x0009, _GE, 0x0D)
    started = _moment(stated)
    if started is None:
        raise _SilentError("the time at which the scan began is not known")
    return started


def _injected(dataset: Dataset, agent: Dataset, scan: datetime) -> datetime:
    stated = _moment(text(agent, "RadiopharmaceuticalStartDateTime"))
    if stated is None:
        day = f"{scan:%Y%m%d}"
        stated = _moment(day + text(agent, "RadiopharmaceuticalStartTime"), least=14)
    if stated is None:
        raise _SilentError("the time of injection is not given")
    return stated


def _moment(digits: str, least: int = 14) -> datetime | None:
    """YYYYMMDDHHMMSS with or without a fraction; None when it is not whole."""
    plain = digits.partition(".")[0].partition("+")[0]
    if len(plain) < least or not plain[:14].isdigit():
        return None
    try:
        return datetime.strptime(plain[:14], "%Y%m%d%H%M%S")
    except ValueError:
        return None


def _private(dataset: Dataset, group: int, creator: str, element: int) -> float | None:
    found = _private_text(dataset, group, creator, element)
    try:
        value = float(found)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0.0 else None


def _private_text(dataset: Dataset, group: int, creator: str, element: int) -> str:
    try:
        value = dataset.private_block(group, creator)[element].value
    except KeyError:
        return ""
    return (value.decode("ascii", "ignore") if isinstance(value, bytes) else str(value)).strip(
        "\0 "
    )

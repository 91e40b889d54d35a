"""The attributes of an X-ray header that geometry needs, wherever its kind of file keeps them.

A rotational run is an XA image with angle increments, or an Enhanced XA image with the angles of
each frame. A volume that was reconstructed from one (X-Ray 3D Angiographic, PS3.3 C.8.21) states
the geometry of its projections, though it holds none of their pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import XRay3DAngiographicImageStorage

from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.view import Pixels

# Where Enhanced XA keeps what a plain XA header has at its top (PS3.3 C.8.19.6).
GROUPS = (
    "PositionerPositionSequence",
    "IsocenterReferenceSystemSequence",
    "XRayGeometrySequence",
    "FieldOfViewSequence",
    "ProjectionPixelCalibrationSequence",
    "XAXRFFrameCharacteristicsSequence",
    "XAXRFFrameAcquisitionSequence",
    "FramePixelDataPropertiesSequence",
)
TURNED_DEG = 0.1


def is_volume(dataset: Dataset) -> bool:
    """Whether the file is a volume that was reconstructed from projections."""
    return str(dataset.get("SOPClassUID", "")) == XRay3DAngiographicImageStorage


def frame_count(dataset: Dataset) -> int:
    """How many frames there are, or projections that a volume was made from.

    RegistrationError for a volume that does not list them.
    """
    if not is_volume(dataset):
        return int(dataset.get("NumberOfFrames", 1) or 1)
    count = len(_projections(dataset))
    if count == 0:
        raise RegistrationError(
            "the volume does not list its projections (Per Projection Acquisition Sequence): take "
            "the run that it was made from, or calibrate the C-arm with a marker plate"
        )
    return count


def _projections(dataset: Dataset) -> list[tuple[Dataset, Dataset]]:
    """Each projection with the acquisition that it belongs to."""
    return [
        (projection, acquisition)
        for acquisition in dataset.get("XRay3DAcquisitionSequence") or []
        for projection in acquisition.get("PerProjectionAcquisitionSequence") or []
    ]


class Fields:
    """One frame's attributes: its own group first, then the shared groups, then the top."""

    def __init__(self, dataset: Dataset, frame: int) -> None:
        count = frame_count(dataset)
        if not 0 <= frame < count:
            raise RegistrationError(f"the file holds {count} frames: there is no frame {frame + 1}")
        self.frames = count
        self._places: list[Dataset] = []
        if is_volume(dataset):
            # Its own rows and columns are the volume's: those of the pictures are its sources'.
            self._places += _projections(dataset)[frame]
            self._places += list(dataset.get("ContributingSourcesSequence") or [])[:1]
            return
        per_frame = dataset.get("PerFrameFunctionalGroupsSequence")
        shared = dataset.get("SharedFunctionalGroupsSequence")
        if per_frame and frame < len(per_frame):
            self._add_groups(per_frame[frame])
        if shared:
            self._add_groups(shared[0])
        self._places.append(dataset)

    def _add_groups(self, groups: Dataset) -> None:
        for name in GROUPS:
            items = groups.get(name)
            if items:
                self._places.append(items[0])

    def text(self, keyword: str) -> str | None:
        value = self._first(keyword)
        return None if value is None else str(value).strip()

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Its values as numbers; () when it is missing or empty."""
        value = self._first(keyword)
        if value is None:
            return ()
        values = value if isinstance(value, MultiValue | list | tuple) else [value]
        try:
            found = tuple(float(str(one)) for one in values)
        except (TypeError, ValueError):
            raise RegistrationError(f"{keyword} holds {value!r}, no number") from None
        if not np.isfinite(found).all():
            raise RegistrationError(f"{keyword} is not finite")
        return found

    def words(self, keyword: str) -> tuple[str, ...]:
        value = self._first(keyword)
        if value is None:
            return ()
        values = value if isinstance(value, MultiValue | list | tuple) else [value]
        return tuple(str(one).strip() for one in values)

    def _first(self, keyword: str) -> object | None:
        for place in self._places:
            value = place.get(keyword)
            if value is not None and value not in ("", []):
                found: object = value
                return found
        return None


@dataclass(frozen=True, slots=True)
class HeaderValues:
    """Of one frame. isocentre_mm: source to isocentre. pixel_mm, size_px, view_mm: along the
    columns' axis (u), then the rows'. isocentre_px: (u, v) before a flip. orientation: the
    patient's directions to the right and down. flipped: mirrored before it was stored. The angles
    are the patient's, or the room's where only those are stated."""

    sid_mm: float
    isocentre_mm: float
    pixel_mm: tuple[float, float]
    size_px: tuple[int, int]
    primary_deg: float
    secondary_deg: float
    pixels: Pixels
    magnification: float | None
    view_mm: tuple[float, float] | None
    isocentre_px: tuple[float, float] | None
    orientation: tuple[str, str] | None
    flipped: bool
    notes: tuple[str, ...]


def header_values(fields: Fields, frame: int) -> HeaderValues:
    """The values; RegistrationError names every attribute that is missing."""
    sid = fields.numbers("DistanceSourceToDetector")
    isocentre = fields.numbers("DistanceSourceToIsocenter") or fields.numbers(
        "DistanceSourceToPatient"
    )
    spacing = fields.numbers("ImagerPixelSpacing")
    rows, columns = fields.numbers("Rows"), fields.numbers("Columns")
    notes: list[str] = []
    primary, secondary, of_room = _angles(fields, notes)
    wanted = {
        "Distance Source to Detector": sid,
        "Distance Source to Patient (or to Isocenter)": isocentre,
        "Imager Pixel Spacing": spacing,
        "Rows": rows,
        "Columns": columns,
        "Positioner Primary Angle (or Isocenter Primary Angle)": primary,
        "Positioner Secondary Angle (or Isocenter Secondary Angle)": secondary,
    }
    missing = [name for name, found in wanted.items() if not found]
    if missing:
        raise RegistrationError(
            f"the header has no {', '.join(missing)}: calibrate the C-arm with a marker plate, or "
            "export the frame with its geometry"
        )
    if len(spacing) != 2 or min(spacing) <= 0.0:
        raise RegistrationError("Imager Pixel Spacing needs two positive values")
    rotation = fields.numbers("FieldOfViewRotation")
    turned = fields.numbers("PositionerIsocenterDetectorRotationAngle")
    if (rotation and rotation[0] != 0.0) or (turned and abs(turned[0]) > TURNED_DEG):
        raise RegistrationError(
            "the detector or its picture was turned about the beam (Field of View Rotation, "
            "Detector Rotation Angle): store the frame unturned"
        )
    # What lies where in the patient says nothing about the room.
    words = () if of_room else fields.words("PatientOrientation")
    place = _isocentre_px(fields, spacing)
    if place is None:
        notes.append("the isocentre is taken to project to the middle of the picture")
    size = (int(columns[0]), int(rows[0]))
    return HeaderValues(
        sid_mm=sid[0],
        isocentre_mm=isocentre[0],
        pixel_mm=(spacing[1], spacing[0]),
        size_px=size,
        primary_deg=primary[0] + _increment(fields, "PositionerPrimaryAngleIncrement", frame),
        secondary_deg=secondary[0] + _increment(fields, "PositionerSecondaryAngleIncrement", frame),
        pixels=_pixels(fields, notes),
        magnification=next(iter(fields.numbers("EstimatedRadiographicMagnificationFactor")), None),
        view_mm=_view_mm(fields),
        isocentre_px=place,
        orientation=(words[0], words[1]) if len(words) == 2 and all(words) else None,
        flipped=(fields.text("FieldOfViewHorizontalFlip") or "NO").upper() == "YES",
        notes=tuple(notes),
    )


def _angles(fields: Fields, notes: list[str]) -> tuple[tuple[float, ...], tuple[float, ...], bool]:
    """Primary and secondary angle, () where there is none, and whether they are the room's.

    PS3.3 C.8.19.6.13.1: those of the isocentre reference system are counted from the table (+x to
    its left, +y down, +z to its head), which for a patient head first on his back is the same.
    """
    primary = fields.numbers("PositionerPrimaryAngle")
    secondary = fields.numbers("PositionerSecondaryAngle")
    if primary and secondary:
        return primary, secondary, False
    of_room = (
        fields.numbers("PositionerIsocenterPrimaryAngle"),
        fields.numbers("PositionerIsocenterSecondaryAngle"),
    )
    if not all(of_room):
        return primary, secondary, False
    notes.append(
        "the angles are the room's: world is the patient's for one head first on his back on a "
        "table that is not turned"
    )
    return *of_room, True


def _increment(fields: Fields, keyword: str, frame: int) -> float:
    """PS3.3 C.8.7.5.1.3: one value a frame is added to the first frame's angle, or one step."""
    steps = fields.numbers(keyword)
    if not steps:
        return 0.0
    if len(steps) == 1:
        return steps[0] * frame
    if len(steps) != fields.frames:
        raise RegistrationError(
            f"{keyword} holds {len(steps)} values for {fields.frames} frames: one each is needed"
        )
    return steps[frame]


def _view_mm(fields: Fields) -> tuple[float, float] | None:
    if (fields.text("FieldOfViewShape") or "RECTANGLE").upper() != "RECTANGLE":
        return None
    size = fields.numbers("FieldOfViewDimensionsInFloat") or fields.numbers("FieldOfViewDimensions")
    return (size[0], size[1]) if len(size) == 2 and min(size) > 0.0 else None


def _isocentre_px(fields: Fields, spacing: tuple[float, ...]) -> tuple[float, float] | None:
    """(u, v) of the isocentre in the picture, from elements of the detector (C.8.19.5)."""
    place = fields.numbers("PositionOfIsocenterProjection")
    element = fields.numbers("DetectorElementSpacing")
    origin = fields.numbers("FieldOfViewOrigin")
    if len(place) != 2 or len(element) != 2 or len(origin) != 2:
        return None
    v, u = (
        (at - start + 0.5) * size / pitch - 0.5
        for at, start, size, pitch in zip(place, origin, element, spacing, strict=True)
    )
    return u, v


def _pixels(fields: Fields, notes: list[str]) -> Pixels:
    """PS3.3 C.8.7.1.1.2: LIN and LOG grow with the beam's intensity or its logarithm."""
    relation = (fields.text("PixelIntensityRelationship") or "").upper()
    if relation == "LOG":
        notes.append("the pixels are a logarithm of intensity, used as intensity")
    photometric = (fields.text("PhotometricInterpretation") or "MONOCHROME2").upper()
    sign = fields.numbers("PixelIntensityRelationshipSign")
    if sign:
        return Pixels.INTENSITY if sign[0] > 0 else Pixels.ATTENUATION
    return Pixels.ATTENUATION if photometric == "MONOCHROME1" else Pixels.INTENSITY

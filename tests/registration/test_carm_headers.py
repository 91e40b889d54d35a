"""Geometry from DICOM headers, against places worked out by hand from the standard's words."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, XRay3DAngiographicImageStorage

from ir_nav.registration import RegistrationError
from ir_nav.registration.carm_calibration import (
    HeaderView,
    frame_count,
    frame_pixels,
    header_view,
)
from ir_nav.registration.fluoro.view import Pixels

SID_MM, ISOCENTRE_MM, PITCH_MM = 1200.0, 800.0, 0.3


def _header(**changes: object) -> Dataset:
    """A plain XA header: 400 columns, 300 rows, AP."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.Rows, dataset.Columns = 300, 400
    dataset.ImagerPixelSpacing = [PITCH_MM, PITCH_MM]
    dataset.DistanceSourceToDetector = SID_MM
    dataset.DistanceSourceToPatient = ISOCENTRE_MM
    dataset.PositionerPrimaryAngle = 0.0
    dataset.PositionerSecondaryAngle = 0.0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    for keyword, value in changes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def _px(found: HeaderView, point_lps: list[float]) -> np.ndarray:
    pose = found.view.carm_from_world
    return found.view.geometry.project(pose[:3, :3] @ np.array(point_lps) + pose[:3, 3])


def _stored(found: HeaderView, point_lps: list[float]) -> np.ndarray:
    """Where the point lies in the picture as it is stored."""
    u, v = _px(found, point_lps)
    return np.array([found.view.geometry.size_px[0] - 1 - u if found.mirrored else u, v])


def test_ap_has_the_patients_left_on_the_right_and_the_head_up() -> None:
    found = header_view(_header())
    scale = SID_MM / ISOCENTRE_MM / PITCH_MM
    assert found.mirrored
    np.testing.assert_allclose(_stored(found, [0, 0, 0]), [199.5, 149.5])
    np.testing.assert_allclose(_stored(found, [10, 0, 0]), [199.5 + 10 * scale, 149.5])
    np.testing.assert_allclose(_stored(found, [0, 0, 10]), [199.5, 149.5 - 10 * scale])
    # The chest is nearer the detector, so it looks smaller than the back.
    front, back = (_stored(found, [10, y, 0])[0] for y in (-100, 100))
    assert front - 199.5 == pytest.approx(10 * SID_MM / (ISOCENTRE_MM + 100) / PITCH_MM)
    assert back > front


@pytest.mark.parametrize(
    ("primary", "secondary", "towards"),
    [
        (90.0, 0.0, [1, 0, 0]),  # LAO 90: the detector at the patient's left
        (-90.0, 0.0, [-1, 0, 0]),
        (0.0, 90.0, [0, 0, 1]),  # cranial 90: at the head
        (30.0, 0.0, [0.5, -np.sqrt(0.75), 0]),
        (180.0, 0.0, [0, 1, 0]),
    ],
)
def test_the_angles_place_the_detector(
    primary: float, secondary: float, towards: list[float]
) -> None:
    found = header_view(_header(PositionerPrimaryAngle=primary, PositionerSecondaryAngle=secondary))
    np.testing.assert_allclose(found.view.carm_from_world[2, :3], towards, atol=1e-12)
    np.testing.assert_allclose(_stored(found, [0, 0, 0]), [199.5, 149.5])
    assert np.linalg.det(found.view.carm_from_world[:3, :3]) == pytest.approx(1.0)


def test_a_left_lateral_picture_has_the_back_on_the_right() -> None:
    """Detector at the left, looking at the left side: head up, so the back is to the right."""
    found = header_view(_header(PositionerPrimaryAngle=90.0))
    assert _stored(found, [0, 10, 0])[0] > 199.5
    assert _stored(found, [0, 0, 10])[1] < 149.5


def test_a_stated_orientation_decides_whether_the_picture_is_mirrored() -> None:
    assert header_view(_header(PatientOrientation=["L", "F"])).mirrored
    assert not header_view(_header(PatientOrientation=["R", "F"])).mirrored
    with pytest.raises(RegistrationError, match="does not fit the positioner's angles"):
        header_view(_header(PatientOrientation=["L", "H"]))


def test_the_picture_is_turned_with_its_geometry() -> None:
    dataset = _header()
    pixels = np.zeros((300, 400), dtype=np.uint16)
    pixels[50, 380] = 7
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 15, 0, 1
    dataset.PixelData = pixels.tobytes()
    found = header_view(dataset)
    seen = frame_pixels(dataset, found)
    assert np.argwhere(seen == 7).tolist() == [[50, 19]]


def test_steps_of_a_turning_arm_are_added() -> None:
    turning = _header(NumberOfFrames=3, PositionerPrimaryAngleIncrement=[0.0, 1.5, 3.5])
    assert header_view(turning, 2).primary_deg == 3.5
    even = _header(NumberOfFrames=3, PositionerPrimaryAngleIncrement=1.5)
    assert header_view(even, 2).primary_deg == 3.0
    with pytest.raises(RegistrationError, match="one each is needed"):
        header_view(_header(NumberOfFrames=3, PositionerPrimaryAngleIncrement=[0.0, 1.5]), 1)
    with pytest.raises(RegistrationError, match="there is no frame 4"):
        header_view(turning, 3)


def test_what_is_missing_is_named() -> None:
    header = _header(DistanceSourceToPatient=None, ImagerPixelSpacing=None)
    with pytest.raises(RegistrationError, match=r"Source to Patient.*Imager Pixel Spacing"):
        header_view(header)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"DistanceSourceToPatient": 1300.0}, "is not below"),
        ({"DistanceSourceToDetector": 12.0}, "was expected"),
        ({"EstimatedRadiographicMagnificationFactor": 1.2}, "contradicts itself"),
        ({"FieldOfViewDimensions": [200, 150]}, "contradicts itself"),
        ({"PositionerSecondaryAngle": 120.0}, "within 90"),
        ({"ImagerPixelSpacing": [0.3, 0.0]}, "two positive values"),
        ({"FieldOfViewRotation": 90}, "store the frame unturned"),
    ],
)
def test_a_header_at_odds_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(RegistrationError, match=words):
        header_view(_header(**changes))


def test_a_consistent_header_is_not() -> None:
    found = header_view(
        _header(EstimatedRadiographicMagnificationFactor=1.5, FieldOfViewDimensions=[120, 90])
    )
    assert found.view.pixels is Pixels.INTENSITY
    assert header_view(_header(PixelIntensityRelationshipSign=-1)).view.pixels is Pixels.ATTENUATION


def _enhanced() -> Dataset:
    """Two frames; the detector has 1000 x 1000 elements of 0.15 mm, binned by two."""
    dataset = _header(
        NumberOfFrames=2,
        ImagerPixelSpacing=None,
        DistanceSourceToDetector=None,
        DistanceSourceToPatient=None,
        PositionerPrimaryAngle=None,
        PositionerSecondaryAngle=None,
    )
    dataset.PositionOfIsocenterProjection = [480.0, 520.0]  # row, column of elements
    dataset.DetectorElementSpacing = [0.15, 0.15]
    shared, geometry, field, pixel = Dataset(), Dataset(), Dataset(), Dataset()
    geometry.DistanceSourceToDetector, geometry.DistanceSourceToIsocenter = SID_MM, ISOCENTRE_MM
    field.FieldOfViewOrigin, field.FieldOfViewRotation = [100.0, 200.0], 0
    field.FieldOfViewHorizontalFlip = "NO"
    pixel.ImagerPixelSpacing = [PITCH_MM, PITCH_MM]
    shared.XRayGeometrySequence, shared.FieldOfViewSequence = [geometry], [field]
    shared.FramePixelDataPropertiesSequence = [pixel]
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for angle in (0.0, 25.0):
        frame, place = Dataset(), Dataset()
        place.PositionerPrimaryAngle, place.PositionerSecondaryAngle = angle, -10.0
        frame.PositionerPositionSequence = [place]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    return dataset


def test_enhanced_xa_keeps_its_angles_by_frame_and_states_the_isocentre() -> None:
    found = header_view(_enhanced(), 1)
    assert (found.primary_deg, found.secondary_deg) == (25.0, -10.0)
    # (520 - 200 + 0.5) / 2 - 0.5 columns and (480 - 100 + 0.5) / 2 - 0.5 rows.
    np.testing.assert_allclose(_stored(found, [0, 0, 0]), [159.75, 189.75])
    assert not any("isocentre" in note for note in found.notes)


def test_a_flipped_enhanced_picture_is_already_seen_from_the_focal_spot() -> None:
    dataset = _enhanced()
    dataset.SharedFunctionalGroupsSequence[0].FieldOfViewSequence[
        0
    ].FieldOfViewHorizontalFlip = "YES"
    found = header_view(dataset)
    assert not found.mirrored
    np.testing.assert_allclose(_px(found, [0, 0, 0]), [399 - 159.75, 189.75])
    assert _px(found, [10, 0, 0])[0] < 399 - 159.75


# Rotational runs, and volumes made from them --------------------------------


def _turned(angles_deg: list[float], *, of_room: bool) -> Dataset:
    """An Enhanced XA run with the angles of each frame, the patient's or the room's."""
    dataset = _enhanced()
    dataset.NumberOfFrames = len(angles_deg)
    frames = []
    for angle in angles_deg:
        frame, place = Dataset(), Dataset()
        if of_room:
            place.PositionerIsocenterPrimaryAngle = angle
            place.PositionerIsocenterSecondaryAngle = 4.0
            place.PositionerIsocenterDetectorRotationAngle = 0.0
            frame.IsocenterReferenceSystemSequence = [place]
        else:
            place.PositionerPrimaryAngle, place.PositionerSecondaryAngle = angle, 4.0
            frame.PositionerPositionSequence = [place]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    return dataset


@pytest.mark.parametrize("of_room", [False, True])
def test_each_frame_of_a_run_has_its_own_place(of_room: bool) -> None:
    run = _turned([-100.0, -20.0, 60.0], of_room=of_room)
    assert frame_count(run) == 3
    found = [header_view(run, frame) for frame in range(3)]
    assert [one.primary_deg for one in found] == [-100.0, -20.0, 60.0]
    source = [
        -one.view.carm_from_world[:3, :3].T @ one.view.carm_from_world[:3, 3] for one in found
    ]
    pose = found[2].view.carm_from_world
    # The focal spot lies opposite the detector: for LAO 60 to the right, behind and to the feet.
    a, b = np.radians([60.0, 4.0])
    towards = np.array([np.sin(a) * np.cos(b), -np.cos(a) * np.cos(b), np.sin(b)])
    source = -pose[:3, :3].T @ pose[:3, 3]
    np.testing.assert_allclose(source, -ISOCENTRE_MM * towards, atol=1e-9)
    assert any("the room's" in note for note in found[0].notes) == of_room
    # All frames see the isocentre at the same place of the picture.
    np.testing.assert_allclose([_stored(one, [0, 0, 0]) for one in found], [[159.75, 189.75]] * 3)


def test_an_angle_missing_in_one_frame_is_named() -> None:
    run = _turned([0.0, 10.0], of_room=False)
    del run.PerFrameFunctionalGroupsSequence[1].PositionerPositionSequence[0].PositionerPrimaryAngle
    assert header_view(run, 0).primary_deg == 0.0
    with pytest.raises(RegistrationError, match="no Positioner Primary Angle"):
        header_view(run, 1)


def _volume(**changes: object) -> Dataset:
    """A volume of 64 x 64 voxels made from two runs: of two projections, then of one."""
    dataset = Dataset()
    dataset.SOPClassUID = XRay3DAngiographicImageStorage
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = 64, 64, 64
    dataset.PhotometricInterpretation = "MONOCHROME1"
    source = Dataset()
    source.Rows, source.Columns = 300, 400
    source.ImagerPixelSpacing = [PITCH_MM, PITCH_MM]
    dataset.ContributingSourcesSequence = [source]
    acquisitions = []
    for angles in ((-100.0, 95.0), (10.0,)):
        acquisition = Dataset()
        acquisition.DistanceSourceToDetector = SID_MM
        acquisition.DistanceSourceToIsocenter = ISOCENTRE_MM
        projections = []
        for angle in angles:
            projection = Dataset()
            projection.PositionerIsocenterPrimaryAngle = angle
            projection.PositionerIsocenterSecondaryAngle = -2.0
            projections.append(projection)
        acquisition.PerProjectionAcquisitionSequence = projections
        acquisitions.append(acquisition)
    dataset.XRay3DAcquisitionSequence = acquisitions
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    return dataset


def test_a_volume_states_the_geometry_of_its_projections() -> None:
    volume = _volume()
    assert frame_count(volume) == 3
    found = [header_view(volume, frame) for frame in range(3)]
    assert [one.primary_deg for one in found] == [-100.0, 95.0, 10.0]
    for one in found:
        geometry = one.view.geometry
        assert (geometry.size_px, geometry.sid_mm) == ((400, 300), SID_MM)
        assert geometry.pixel_mm == (PITCH_MM, PITCH_MM)
        assert one.view.carm_from_world[2, 3] == pytest.approx(ISOCENTRE_MM)
        # How the voxels are shown says nothing of the projections.
        assert one.view.pixels is Pixels.INTENSITY
    with pytest.raises(RegistrationError, match="there is no frame 4"):
        header_view(volume, 3)
    with pytest.raises(RegistrationError, match="a volume, not the pictures"):
        frame_pixels(volume, found[0])


def test_a_volume_without_what_is_needed_is_refused_in_words() -> None:
    with pytest.raises(RegistrationError, match="does not list its projections"):
        header_view(_volume(XRay3DAcquisitionSequence=[]))
    with pytest.raises(RegistrationError, match="no Imager Pixel Spacing, Rows, Columns"):
        header_view(_volume(ContributingSourcesSequence=[]))
    without = _volume()
    del without.XRay3DAcquisitionSequence[0].DistanceSourceToIsocenter
    with pytest.raises(RegistrationError, match="no Distance Source to Patient"):
        header_view(without)
    assert header_view(without, 2).primary_deg == 10.0

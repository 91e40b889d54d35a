"""C-arm angles against cases worked by hand. LPS: +x left, +y back, +z head."""

from __future__ import annotations

import numpy as np
import pytest

from ir_nav.geometry import CArmGeometry, angle_between_deg, apply, rigidity_fault
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.carm_angles import (
    CArmAngles,
    CArmReach,
    PatientPosition,
    angles_of,
    carm_from_ct,
    direction_of,
    entry_view,
    progress_views,
    view_along,
)

TARGET = (10.0, -20.0, 300.0)


def seen(view: object) -> tuple[float, float]:
    return view.primary_deg, view.secondary_deg  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("beam", "primary", "secondary"),
    [
        ((0, -1, 0), 0, 0),  # detector before the chest
        ((1, 0, 0), 90, 0),  # at the patient's left
        ((-1, 0, 0), -90, 0),  # at his right
        ((0, 1, 0), 180, 0),  # under him
        ((1, -1, 0), 45, 0),
        ((0, -1, 1), 0, 45),  # towards the head
        ((0, -1, -1), 0, -45),
        ((0, 0, 2), 0, 90),
        # LAO 45, then a third of the length headwards: asin(1 / sqrt(3)).
        ((1, -1, 1), 45, 35.26438968),
    ],
)
def test_a_beam_has_the_angles_of_the_standard(
    beam: tuple[float, float, float], primary: float, secondary: float
) -> None:
    assert seen(angles_of(beam)) == pytest.approx((primary, secondary))
    assert direction_of(angles_of(beam)) == pytest.approx(np.array(beam) / np.linalg.norm(beam))


def test_angles_are_read_aloud() -> None:
    assert str(CArmAngles(30.2, -10.0)) == "LAO 30° CAUD 10°"
    assert str(CArmAngles(-5.0, 20.0)) == "RAO 5° CRAN 20°"


def test_the_pose_puts_the_isocentre_on_the_principal_ray_and_the_head_up() -> None:
    pose = carm_from_ct(CArmAngles(30.0, 20.0), TARGET, 720.0)
    assert rigidity_fault(pose) is None
    assert apply(pose, TARGET) == pytest.approx([0.0, 0.0, 720.0])
    geometry = CArmGeometry(1000.0, (0.5, 0.5), (400, 400), (199.5, 199.5))
    centre, head = geometry.project(apply(pose, [TARGET, np.add(TARGET, (0, 0, 30))]))
    assert head[1] < centre[1] - 10.0
    assert head[0] == pytest.approx(centre[0])
    # From the front with the detector above, as seen from the tube: the left is on the left.
    front = carm_from_ct(CArmAngles(0.0, 0.0), TARGET, 720.0)
    assert front[:3, :3] @ [1.0, 0.0, 0.0] == pytest.approx([-1.0, 0.0, 0.0])


def test_the_entry_view_looks_down_the_path() -> None:
    entry = np.add(TARGET, (60.0, -60.0, 0.0))
    view = entry_view(entry, TARGET)
    assert seen(view.wanted) == pytest.approx((45.0, 0.0))
    assert view.reachable
    pose = carm_from_ct(view.nearest, TARGET, 700.0)
    geometry = CArmGeometry(1000.0, (0.3, 0.3), (512, 512), (255.5, 255.5))
    spots = geometry.project(apply(pose, [entry, TARGET]))
    assert spots[0] == pytest.approx(spots[1], abs=1e-6)


def test_a_path_from_the_back_is_seen_with_the_tube_below() -> None:
    view = entry_view(np.add(TARGET, (0.0, 80.0, 0.0)), TARGET)
    assert seen(view.wanted) == pytest.approx((0.0, 0.0))


def test_a_prone_patient_turns_the_room_not_the_angles() -> None:
    entry = np.add(TARGET, (0.0, 80.0, 0.0))  # into the back, which is up
    view = entry_view(entry, TARGET, position=PatientPosition.HEAD_FIRST_PRONE)
    # The detector above the back: 180 degrees from his chest.
    assert abs(view.wanted.primary_deg) == pytest.approx(180.0)
    assert view.reachable


@pytest.mark.parametrize(
    ("position", "up"),
    [("HFS", (0, -1, 0)), ("HFP", (0, 1, 0)), ("HFDL", (-1, 0, 0)), ("HFDR", (1, 0, 0)),
     ("FFS", (0, -1, 0)), ("FFP", (0, 1, 0)), ("FFDL", (-1, 0, 0)), ("FFDR", (1, 0, 0))],
)  # fmt: skip
def test_the_detector_above_is_in_reach_however_he_lies(
    position: str, up: tuple[float, float, float]
) -> None:
    narrow = CArmReach(5.0, 5.0, 5.0, 5.0)
    lying = PatientPosition(position)
    assert view_along(up, narrow, lying).reachable
    assert not view_along(np.negative(up), narrow, lying).reachable


def test_feet_first_head_and_feet_change_places() -> None:
    head = (0.0, -1.0, 1.0)
    to_head_only = CArmReach(caudal_deg=0.0, cranial_deg=50.0)
    assert view_along(head, to_head_only).reachable
    turned = view_along(head, to_head_only, PatientPosition.FEET_FIRST_SUPINE)
    assert turned.off_deg == pytest.approx(45.0)
    assert seen(turned.nearest) == pytest.approx((0.0, 0.0), abs=1e-9)


def test_out_of_reach_the_nearest_view_and_how_far_it_is_off() -> None:
    # Straight along the body: 45 degrees beyond a tilt of 45.
    view = entry_view(np.add(TARGET, (0.0, 0.0, 90.0)), TARGET)
    assert not view.reachable
    assert view.off_deg == pytest.approx(45.0)
    assert seen(view.nearest) == pytest.approx((0.0, 45.0))
    # Lateral beyond the side limit.
    lateral = view_along((1.0, 0.0, 0.0), CArmReach(lao_deg=70.0))
    assert seen(lateral.nearest) == pytest.approx((70.0, 0.0))
    assert lateral.off_deg == pytest.approx(20.0)


def test_the_nearest_view_is_the_nearest_of_all_in_reach() -> None:
    reach = CArmReach(80.0, 60.0, 20.0, 30.0)
    primaries, secondaries = np.meshgrid(np.linspace(-80, 60, 141), np.linspace(-20, 30, 51))
    grid = np.array([
        direction_of(CArmAngles(p, s))
        for p, s in zip(primaries.ravel(), secondaries.ravel(), strict=True)
    ])  # fmt: skip
    rng = np.random.default_rng(4)
    for beam in rng.normal(size=(200, 3)):
        view = view_along(beam, reach)
        best = np.degrees(np.arccos((grid @ beam / np.linalg.norm(beam)).clip(-1, 1))).min()
        assert view.off_deg <= best + 1e-3
        assert view.off_deg >= best - 1.0
        assert -80.0001 <= view.nearest.primary_deg <= 60.0001
        assert -20.0001 <= view.nearest.secondary_deg <= 30.0001


def test_progress_views_are_square_to_the_path_and_to_each_other_where_possible() -> None:
    entry = np.add(TARGET, (0.0, 0.0, 90.0))  # along the body: all of the transaxial plane
    path = np.subtract(TARGET, entry)
    first, second = progress_views(entry, TARGET)
    for view in (first, second):
        assert view.reachable
        assert angle_between_deg(direction_of(view.nearest), path) == pytest.approx(90.0)
    apart = angle_between_deg(direction_of(first.nearest), direction_of(second.nearest))
    assert apart == pytest.approx(90.0)


def test_progress_views_of_a_path_from_the_front_are_lateral() -> None:
    entry = np.add(TARGET, (0.0, -90.0, 0.0))
    first, second = progress_views(entry, TARGET)
    assert abs(first.nearest.primary_deg) == pytest.approx(90.0)
    assert first.nearest.secondary_deg == pytest.approx(0.0, abs=1e-9)
    # The other one is tilted as far as the C-arm goes, and still square.
    assert second.reachable
    assert abs(second.nearest.secondary_deg) == pytest.approx(45.0, abs=1.0)
    assert direction_of(second.nearest)[1] == pytest.approx(0.0, abs=1e-9)


def test_no_square_view_in_reach_says_how_far_from_square() -> None:
    entry = np.add(TARGET, (0.0, -90.0, 0.0))
    first, second = progress_views(entry, TARGET, CArmReach(40.0, 40.0, 30.0, 30.0))
    assert first.off_deg == pytest.approx(50.0)
    assert abs(first.nearest.primary_deg) == pytest.approx(40.0)
    assert not second.reachable


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: angles_of((0.0, 0.0, 0.0)),
        lambda: angles_of((np.nan, 0.0, 1.0)),
        lambda: entry_view(TARGET, TARGET),
        lambda: CArmReach(lao_deg=-1.0),
        lambda: CArmReach(cranial_deg=91.0),
        lambda: carm_from_ct(CArmAngles(0.0, 0.0), TARGET, 0.0),
    ],
)
def test_what_has_no_answer_is_refused(wrong: object) -> None:
    with pytest.raises(RegistrationError):
        wrong()  # type: ignore[operator]

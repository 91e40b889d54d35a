"""The section *Needle*: what the instrument does, drawn and in words; needles apart; devices."""

from __future__ import annotations

import numpy as np

from ir_nav.gui.slice_view import SliceView
from ir_nav.imaging import LabelMap, Volume
from ir_nav.planning.catalogue import all_devices, instrument_of
from ir_nav.session.session import Session
from tests.gui.planner import Planner
from tests.session.test_planning import FREE, labels


def approved(planner: Planner, protocol: str = "Liver biopsy") -> Session:
    session = planner.session
    planner.choose("protocol", protocol)
    planner.until(lambda: session.planning.ground is not None)
    session.planning.set_target((0.0, 0.0, 0.0), "Aorta")
    session.planning.set_entry(FREE)
    planner.settle()
    planner.click("approve_plan")
    assert session.planning.plan is not None
    planner.click("section_needle")
    return session


def use(planner: Planner, device: str) -> None:
    session = planner.session
    assert session.planning.plan is not None
    chosen = next(one for one in all_devices() if one.id == device)
    length_mm = float(
        np.linalg.norm(session.planning.plan.aim_ct_mm - session.planning.plan.path.entry_ct_mm)
    )
    session.approving.use_instrument(instrument_of(chosen, length_mm))
    planner.settle()


def picture(planner: Planner, view: SliceView) -> np.ndarray:
    planner.settle()
    image = view.grab().toImage()
    bits = image.constBits()
    assert bits is not None
    return (
        np.frombuffer(bits.asstring(image.sizeInBytes()), np.uint8)
        .reshape(image.height(), image.bytesPerLine())[:, : 4 * image.width()]
        .reshape(image.height(), image.width(), 4)
        .astype(int)
    )


def changed_at(before: np.ndarray, after: np.ndarray, at_px: np.ndarray) -> bool:
    """Whether something else is drawn within 3 px of a place."""
    u, v = (round(float(value)) for value in at_px[:2])
    part = np.s_[v - 3 : v + 4, u - 3 : u + 4]
    return bool(np.abs(before[part] - after[part]).max() > 60)


def test_the_sample_is_drawn_and_the_two_lengths_are_explained(planner: Planner) -> None:
    session = approved(planner)
    view = planner.page.along
    before = picture(planner, view)
    use(planner, "core-18g-22mm")
    after = picture(planner, view)
    plan = session.planning.plan
    assert plan is not None
    path = plan.path
    # Throw 22, notch 19, point 3 mm: the tip rests 9.5 mm before the aim, fired it is 12.5 past.
    middle, side = view.to_view(plan.aim_ct_mm + 6.0 * path.direction_ct), np.array((0.0, 5.0))
    assert changed_at(before, after, middle)
    tip = view.to_view(path.target_ct_mm)
    assert changed_at(before, after, tip[:2] + side), "the bar at the resting tip"
    deepest = view.to_view(plan.aim_ct_mm + 20.0 * path.direction_ct)
    assert not changed_at(before, after, deepest)
    assert planner.words("instrument_depth") == (
        f"Tip rests 9.5 mm before the aim · {path.length_mm:.0f} mm from skin · "
        "12.5 mm past the aim when fired"
    )


def test_zones_are_drawn_in_slices_and_in_3d(planner: Planner) -> None:
    session = approved(planner, "Liver ablation")
    view = planner.page.axial
    before = picture(planner, view)
    use(planner, "microwave-perfused-14g")
    after = picture(planner, view)
    (zone,) = planner.page._overlays.zones
    rim = zone.section(view.centre_ct_mm, *view.axes_ct[:2])
    assert rim is not None
    seen = [view.to_view(place) for place in rim[::15]]
    assert all(changed_at(before, after, place) for place in seen)
    assert session.planning.plan is not None
    assert "past the aim" in planner.words("instrument_depth")
    assert "beyond the tip" in planner.words("instrument_depth")


def test_a_catheter_shows_its_loop(planner: Planner) -> None:
    session = approved(planner, "Abscess drainage")
    view = planner.page.along
    before = picture(planner, view)
    use(planner, "pigtail-10f")
    after = picture(planner, view)
    plan = session.planning.plan
    assert plan is not None
    deepest = plan.path.target_ct_mm + 8.0 * plan.path.direction_ct
    area = np.abs(before - after).max(axis=2) > 60
    u, v = (int(value) for value in view.to_view(deepest)[:2])
    assert area[v - 40 : v + 40, u - 40 : u + 40].sum() > 40


def test_a_second_needle_through_the_same_hole_is_refused(planner: Planner) -> None:
    session = approved(planner, "Liver ablation")
    use(planner, "microwave-perfused-14g")
    session.planning.set_target((10.0, 0.0, 0.0), "Aorta")
    session.planning.set_entry(FREE)
    planner.settle()
    planner.click("add_needle")
    assert session.planning.plan is not None
    assert len(session.planning.plan.paths) == 1
    assert "0.0 mm of needle 1" in planner.window.desk.banner.text
    session.planning.set_entry((22.0, -60.0, 0.0))
    planner.settle()
    planner.click("add_needle")
    assert len(session.planning.plan.paths) == 2
    assert planner.words("needles_apart") == (
        "1 and 2: tips 10 mm apart, shafts 10 mm, 0° between them"
    )


def test_coverage_is_of_an_outlined_target_only(planner: Planner, block: Volume) -> None:
    session = approved(planner, "Liver ablation")
    use(planner, "microwave-perfused-14g")
    planner.until(lambda: bool(planner.words("needles_coverage")))
    assert planner.words("needles_coverage").startswith("Point in Aorta, no lesion outlined")
    numbers = labels(block).voxels.copy()
    numbers[38:42, 38:42, 38:42] = 10
    named = LabelMap(numbers, block.ct_from_voxel, {**labels(block).names, 10: "lesion"})
    session.set_labels(named)
    planner.until(lambda: session.planning.ground is not None)
    session.planning.set_target((0.0, 0.0, 0.0), "Lesion")
    session.planning.set_entry((14.0, -60.0, 0.0))
    planner.settle()
    planner.click("approve_plan")
    planner.click("confirm_replacing")
    use(planner, "microwave-perfused-14g")
    planner.until(lambda: "% of the target covered" in planner.words("needles_coverage"))


def test_a_message_lies_over_the_images_only(planner: Planner) -> None:
    planner.window.desk.banner.say("Needle 2 comes to 0.0 mm of needle 1")
    planner.app.processEvents()
    page, banner = planner.page, planner.window.desk.banner
    lies = banner.geometry()
    for name in ("reading", "sections"):
        widget = getattr(page, name)
        covered = widget.rect().translated(widget.mapTo(planner.window.stage, widget.pos() * 0))
        assert not lies.intersects(covered), name
    assert planner.window.stage.rect().contains(lies)

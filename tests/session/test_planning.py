"""The plan under way: protocol, skin kept free, approval against hard limits, several needles."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ir_nav.imaging import LabelMap, Volume, VolumeInfo
from ir_nav.planning import PlanError, prepare, propose, save_plan, shipped_protocol
from ir_nav.planning.catalogue import all_devices, instrument_of
from ir_nav.planning.findings import broken
from ir_nav.planning.instruments import Ablation
from ir_nav.recording import EventKind
from ir_nav.recording.log_reader import read_log
from ir_nav.session.approval import UncheckedError
from ir_nav.session.errors import SessionError
from ir_nav.session.keep_out import (
    Dab,
    keep_out_file,
    kept_out,
    load_keep_out,
    save_keep_out,
    stroke,
)
from ir_nav.session.session import Session
from ir_nav.session.steps import Step, done, refusal

NAMES = {1: "rib_right_7", 5: "liver", 6: "aorta", 7: "colon", 8: "spleen", 9: "spinal_cord"}
# A rib in front of half of the liver.
BEHIND_RIB, FREE = (-19.0, -60.0, 0.0), (12.0, -60.0, 0.0)


@pytest.fixture(scope="module")
def volume() -> Volume:
    voxels = np.full((80, 80, 80), -1000, np.int16)
    voxels[10:70, 10:70, 10:70] = 40
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -79.0
    return Volume(voxels, affine, "blake2b:planning", VolumeInfo())


def labels(volume: Volume, *left_out: int) -> LabelMap:
    numbers = np.zeros(volume.voxels.shape, np.uint8)
    numbers[25:55, 25:55, 25:55] = 5
    numbers[30:50, 14:17, 20:40] = 1
    for number in (6, 7, 8, 9):
        numbers[12, 66, 12 + 4 * number] = number
    numbers[np.isin(numbers, left_out)] = 0
    return LabelMap(numbers, volume.ct_from_voxel, NAMES)


def measured(volume: Volume, *left_out: int, protocol: str = "liver_biopsy") -> Session:
    session = Session()
    session.load_case(volume, labels(volume, *left_out))
    if protocol != "liver_biopsy":
        session.planning.use_protocol(shipped_protocol(protocol))
    session.planning.take_ground(prepare(volume, session.case.labels, session.planning.protocol))
    session.planning.set_target((0.0, 0.0, 0.0), "Liver")
    return session


def test_a_path_that_breaks_a_hard_limit_is_refused_by_structure_and_distance(
    volume: Volume,
) -> None:
    session = measured(volume)
    session.planning.set_entry(BEHIND_RIB)
    words = r"Liver biopsy does not allow this path: it goes into Right rib 7 \(at least 2 mm"
    with pytest.raises(SessionError, match=words):
        session.approving.approve()
    with pytest.raises(SessionError, match=words):
        session.approving.approve(confirmed=True)  # a confirmation outvotes nothing
    # Beside the rib by less than its margin: the distance is said.
    found = prepare(volume, session.case.labels, session.planning.protocol)
    for x in np.arange(-2.0, 6.0, 0.25):
        session.planning.set_entry((x, -60.0, 0.0))
        limits = session.planning.findings.limits if session.planning.findings else None
        near = next(one for one in limits or () if one.structure == "Right rib 7")
        if 0.1 < near.value < 1.9:
            break
    assert found.serves(session.planning.protocol)
    with pytest.raises(SessionError, match=rf"{near.value:.1f} mm to Right rib 7, at least 2 mm"):
        session.approving.approve()
    assert session.planning.plan is None
    session.planning.set_entry(FREE)
    assert session.approving.approve().structure == "Liver"


def test_every_limit_says_its_direction(volume: Volume) -> None:
    session = measured(volume)
    seen = set()
    for entry in (FREE, BEHIND_RIB, (-60.0, 0.0, 20.0), (12.0, -50.0, 30.0)):
        session.planning.set_entry(entry)
        assert session.planning.findings is not None
        for one in session.planning.findings.limits or ():
            if one.limit is None:
                assert one.limit_words == ""
                continue
            kept = one.value <= one.limit if one.most else one.value >= one.limit
            assert kept == one.passes, one
            assert one.limit_words.startswith("at most" if one.most else "at least")
            seen.add((one.most, one.passes))
    assert seen == {(True, True), (True, False), (False, True), (False, False)}


def test_what_was_not_checked_is_said_confirmed_and_logged(volume: Volume, tmp_path: Path) -> None:
    session = measured(volume, 6, 9)
    log = tmp_path / "a.irlog"
    session.start_log(log)
    session.planning.set_entry(FREE)
    with pytest.raises(UncheckedError) as refused:
        session.approving.approve()
    assert set(refused.value.unchecked) == {"Vessel", "Spinal cord"}
    assert session.planning.plan is None
    session.approving.approve(confirmed=True)
    assert session.planning.plan is not None
    # Without any distances everything is unchecked.
    session.planning.forget_ground()
    with pytest.raises(UncheckedError, match="every distance and angle"):
        session.approving.approve()
    session.close()
    notes = [one for one in read_log(log).events if one.kind is EventKind.NOTE]
    kept = next(one for one in notes if "without a check of" in one.text)
    assert set(kept.data["unchecked"]) == {"Vessel", "Spinal cord"}


def test_bone_that_no_label_names_was_looked_for_by_its_density(volume: Volume) -> None:
    session = measured(volume, 1)
    session.planning.set_entry(FREE)
    session.approving.approve()


def test_a_protocol_sorts_anew_is_logged_and_can_be_undone(volume: Volume, tmp_path: Path) -> None:
    session = measured(volume)
    session.start_log(tmp_path / "a.irlog")
    ground, draft = session.planning.ground, session.planning.draft
    assert ground is not None
    session.planning.use_protocol(shipped_protocol("lung_biopsy"))
    assert session.planning.protocol.name == "Lung biopsy"
    assert session.planning.ground is None  # other roles: distances are worked out anew
    assert session.planning.draft is draft
    session.planning.undo()
    assert session.planning.protocol.name == "Liver biopsy"
    assert session.planning.ground is ground
    session.close()
    texts = [one.text for one in read_log(tmp_path / "a.irlog").events]
    assert texts.count("protocol: Lung biopsy") == 1
    assert texts.count("protocol: Liver biopsy") == 1


def test_proposals_hold_for_what_they_were_asked_for(volume: Volume) -> None:
    session = measured(volume)
    ground, asked = session.planning.ground, session.planning.now
    assert ground is not None
    found = propose(ground, session.planning.protocol, (0.0, 0.0, 0.0))
    session.planning.paint((Dab(centre_ct_mm=(0.0, -60.0, 0.0), radius_mm=20.0),))
    session.planning.keep_proposals(ground, found, asked)
    assert session.planning.proposals is None, "the skin was painted while they were looked for"
    session.planning.undo()
    assert session.planning.proposals is found


def test_no_path_enters_skin_that_is_kept_free(volume: Volume) -> None:
    session = measured(volume)
    ground = session.planning.ground
    assert ground is not None
    before = propose(ground, session.planning.protocol, (0.0, 0.0, 0.0))
    best = before.paths[0].path.entry_ct_mm
    session.planning.paint(stroke([best], 25.0))
    mask = kept_out(session.planning.now.keep_out, ground.skin)
    assert mask is not None
    away = np.linalg.norm(ground.skin.points_ct_mm - best, axis=1)
    np.testing.assert_array_equal(mask, away <= 25.0)
    after = propose(ground, session.planning.protocol, (0.0, 0.0, 0.0), keep_out=mask)
    for one in after.paths:
        # The entry lies on the very skin, within a voxel of the one that was judged.
        assert np.linalg.norm(one.path.entry_ct_mm - best) > 25.0 - 2.0 * np.sqrt(3.0)
    session.planning.set_entry(best)
    with pytest.raises(SessionError, match=r"the entry lies 2\d\.\d mm within the skin"):
        session.approving.approve(confirmed=True)
    # Shift takes it away again.
    session.planning.paint(stroke([best], 30.0, erase=True))
    opened = kept_out(session.planning.now.keep_out, ground.skin)
    assert opened is not None
    assert not opened.any()
    session.approving.approve()
    for _ in range(4):
        session.planning.undo()
    assert session.planning.now.keep_out == ()


def test_paint_of_before_is_not_lost_by_an_undo(volume: Volume) -> None:
    session = Session()
    session.load_case(volume)
    session.planning.set_target((0.0, 0.0, 0.0))
    dabs = stroke([FREE], 10.0)
    session.planning.restore_paint(dabs)
    session.planning.undo()
    assert session.planning.draft.target_ct_mm is None
    assert session.planning.now.keep_out == dabs


def test_a_plan_from_a_file_that_breaks_a_limit_is_refused(volume: Volume, tmp_path: Path) -> None:
    session = measured(volume)
    session.planning.set_entry(FREE)
    good = session.approving.approve()
    bad = good.model_copy(update={"entry_ct_mm": BEHIND_RIB})
    save_plan(bad, tmp_path / "bad.json")
    save_plan(good, tmp_path / "good.json")
    draft = session.planning.draft
    with pytest.raises(SessionError, match="goes into Right rib 7"):
        session.approving.load(tmp_path / "bad.json")
    assert session.planning.plan is good
    assert session.planning.draft is draft
    session.approving.load(tmp_path / "good.json")


def test_painted_skin_is_kept_for_its_ct(tmp_path: Path) -> None:
    dabs = stroke([(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (9.0, 0.0, 0.0)], 9.0)
    assert [dab.centre_ct_mm[0] for dab in dabs] == [0.0, 9.0]
    path = keep_out_file("blake2b:a", tmp_path)
    assert load_keep_out(path, "blake2b:a") == ()
    save_keep_out(dabs, "blake2b:a", path)
    assert load_keep_out(path, "blake2b:a") == dabs
    with pytest.raises(SessionError, match="belongs to another CT"):
        load_keep_out(path, "blake2b:b")
    document = json.loads(path.read_text())
    document["dabs"][0]["radius_cm"] = 1
    path.write_text(json.dumps(document))
    with pytest.raises(SessionError, match=r"dabs\.0\.radius_cm"):
        load_keep_out(path, "blake2b:a")
    path.write_text("{")
    with pytest.raises(SessionError, match="not a file of skin kept free"):
        load_keep_out(path, "blake2b:a")


def test_ablation_needles_are_approved_one_after_the_other(volume: Volume) -> None:
    session = measured(volume, protocol="liver_ablation")
    session.planning.set_entry(FREE)
    session.approving.approve()
    session.planning.set_target((10.0, 0.0, 0.0), "Liver")
    with pytest.raises(PlanError, match="choose an ablation device first"):
        session.approving.add_needle()
    device = next(one for one in all_devices() if one.kind == "ablation")
    session.approving.use_instrument(instrument_of(device, 60.0))
    first = session.planning.plan
    assert first is not None
    session.planning.set_entry((22.0, -60.0, 0.0))
    plan = session.approving.add_needle()
    assert len(plan.paths) == 2
    assert plan.path == first.path or np.allclose(plan.paths[0].entry_ct_mm, FREE)
    instrument = plan.instrument
    assert isinstance(instrument, Ablation)
    # The middle of the second zone lies on its own target.
    second = plan.paths[1]
    middle = second.target_ct_mm + second.direction_ct * instrument.aim_ahead_mm
    np.testing.assert_allclose(middle, (10.0, 0.0, 0.0), atol=0.01)
    # A needle is held against the limits as the first one is.
    session.planning.set_entry(BEHIND_RIB)
    with pytest.raises(SessionError, match="Right rib 7"):
        session.approving.add_needle()
    session.planning.set_target((16.0, 0.0, 0.0), "Liver")
    session.planning.set_entry((30.0, -60.0, 0.0))
    session.approving.add_needle()
    with pytest.raises(SessionError, match="places 3 needles at most"):
        session.approving.add_needle()
    session.approving.remove_needle(0)
    assert session.planning.plan is not None
    assert len(session.planning.plan.paths) == 2
    np.testing.assert_allclose(session.planning.plan.path.entry_ct_mm, (22.0, -60.0, 0.0))
    session.approving.remove_needle(1)
    assert len(session.planning.plan.paths) == 1
    with pytest.raises(PlanError, match="no other needle"):
        session.approving.remove_needle(0)


def test_a_needle_whose_tip_would_reach_a_vessel_is_not_added(volume: Volume) -> None:
    numbers = labels(volume).voxels.copy()
    # Beyond the second target: free for the path to it, not for the tip ahead of it.
    numbers[37:43, 46:50, 43:47] = 6
    session = Session()
    session.load_case(volume, LabelMap(numbers, volume.ct_from_voxel, NAMES))
    session.planning.use_protocol(shipped_protocol("liver_ablation"))
    session.planning.take_ground(prepare(volume, session.case.labels, session.planning.protocol))
    session.planning.set_target((0.0, 0.0, 0.0), "Liver")
    session.planning.set_entry(FREE)
    session.approving.approve()
    device = next(one for one in all_devices() if one.kind == "ablation")
    session.approving.use_instrument(instrument_of(device, 60.0))
    session.planning.set_target((10.0, 0.0, 0.0), "Liver")
    session.planning.set_entry((22.0, -60.0, 0.0))
    before, found = session.planning.plan, session.planning.findings
    assert found is not None
    assert not broken(found.limits or ())
    with pytest.raises(SessionError, match="Aorta"):
        session.approving.add_needle()
    assert session.planning.plan is before


def test_undo_takes_the_plan_back_in_order_with_the_draft(volume: Volume, tmp_path: Path) -> None:
    session = measured(volume, protocol="liver_ablation")
    session.start_log(tmp_path / "a.irlog")
    session.planning.set_entry(FREE)
    first = session.approving.approve()
    assert session.planning.now.is_approved
    device = next(one for one in all_devices() if one.kind == "ablation")
    session.approving.use_instrument(instrument_of(device, 60.0))
    assert session.planning.now.is_approved, "its tip rests elsewhere, its aim is the same"
    alone = session.planning.plan
    session.planning.set_target((10.0, 0.0, 0.0), "Liver")
    assert not session.planning.now.is_approved
    session.planning.set_entry((22.0, -60.0, 0.0))
    both = session.approving.add_needle()
    assert session.planning.now.is_approved, "the draft is its second needle"
    session.approving.remove_needle(0)
    session.planning.undo()
    assert session.planning.plan is both
    session.planning.undo()
    assert session.planning.plan is alone
    np.testing.assert_array_equal(session.planning.draft.target_ct_mm, (10.0, 0.0, 0.0))
    session.approving.approve()  # replaces both needles and the device
    session.planning.undo()
    assert session.planning.plan is alone
    for _ in range(3):
        session.planning.undo()
    assert session.planning.plan is first
    session.planning.undo()
    assert session.planning.plan is None
    assert session.planning.draft.path is not None, "only the approval is taken back"
    session.close()
    events = read_log(tmp_path / "a.irlog").events
    kinds = [one.kind for one in events if one.kind is EventKind.PLAN]
    assert len(kinds) == 9
    assert events[-1].text == "approval of the path taken back"


def test_a_plan_opened_is_one_step_and_a_gesture_is_one_step(
    volume: Volume, tmp_path: Path
) -> None:
    session = measured(volume)
    session.planning.set_entry(FREE)
    plan = session.approving.approve()
    save_plan(plan, tmp_path / "a.json")
    session.planning.set_entry((14.0, -60.0, 0.0))
    before, drag = session.planning.now, object()
    session.approving.load(tmp_path / "a.json")
    assert session.planning.now.is_approved
    session.planning.undo()
    assert session.planning.now is before
    for x_mm in (15.0, 16.0, 17.0):
        session.planning.set_entry((x_mm, -60.0, 0.0), gesture=drag)
    session.planning.set_target((1.0, 0.0, 0.0), "Liver", gesture=object())
    session.planning.undo()
    np.testing.assert_array_equal(session.planning.draft.entry_ct_mm, (17.0, -60.0, 0.0))
    session.planning.undo()
    assert session.planning.now is before
    for _ in range(2):  # the second time after an undo within the drag
        session.planning.set_entry((18.0, -60.0, 0.0), gesture=drag)
        session.planning.undo()
        assert session.planning.now is before
    session.planning.back_to_plan()
    assert session.planning.now.is_approved
    session.planning.use_protocol(shipped_protocol("lung_biopsy"))
    assert not session.planning.now.is_approved
    session.planning.back_to_plan()
    assert session.planning.now.is_approved
    assert session.planning.protocol.name == "Liver biopsy"


def test_a_device_that_would_break_a_limit_at_its_deepest_is_refused(volume: Volume) -> None:
    numbers = labels(volume).voxels.copy()
    # A vessel 16 mm beyond the target: free for the needle, not for one fired into it.
    numbers[38:42, 48:52, 38:42] = 6
    session = Session()
    session.load_case(volume, LabelMap(numbers, volume.ct_from_voxel, NAMES))
    session.planning.take_ground(prepare(volume, session.case.labels, session.planning.protocol))
    session.planning.set_target((0.0, 0.0, 0.0), "Liver")
    session.planning.set_entry(FREE)
    plan = session.approving.approve()
    fired = next(one for one in all_devices() if one.id == "core-18g-22mm")
    with pytest.raises(SessionError, match=r"mm to Aorta, at least 5 mm"):
        session.approving.use_instrument(instrument_of(fired, plan.path.length_mm))
    assert session.planning.plan is plan


def test_a_plan_is_withdrawn_when_a_structure_found_since_forbids_it(
    volume: Volume, tmp_path: Path
) -> None:
    session = measured(volume)
    log = tmp_path / "a.irlog"
    session.start_log(log)
    session.planning.set_entry(FREE)
    plan = session.approving.approve()
    session.tick(1.0)
    assert session.plan_watch.withdrawn is None
    assert done(Step.PLAN, session)
    numbers = labels(volume).voxels.copy()
    # A vessel on the way, found after the path was approved.
    numbers[38:42, 20:24, 42:46] = 6
    session.set_labels(LabelMap(numbers, volume.ct_from_voxel, NAMES))
    session.tick(2.0)
    assert session.plan_watch.withdrawn is None  # not measured yet
    session.planning.take_ground(prepare(volume, session.case.labels, session.planning.protocol))
    session.tick(3.0)
    assert session.planning.plan is plan
    assert "Aorta" in (session.plan_watch.withdrawn or "")
    assert not done(Step.PLAN, session)
    refused = refusal(Step.GUIDE, session)
    assert refused is not None
    assert "not allowed any more" in refused.reason
    # The vessel was a mistake.
    session.set_labels(labels(volume))
    session.planning.take_ground(prepare(volume, session.case.labels, session.planning.protocol))
    session.tick(4.0)
    assert session.plan_watch.withdrawn is None
    session.close()
    notes = [one.text for one in read_log(log).events if one.kind is EventKind.NOTE]
    assert sum("plan not allowed any more" in words for words in notes) == 1
    assert sum("plan allowed again" in words for words in notes) == 1


def test_a_plan_is_withdrawn_by_a_protocol_that_differs_in_a_margin_only(volume: Volume) -> None:
    session = measured(volume)
    session.planning.set_entry(FREE)
    session.approving.approve()
    session.tick(1.0)
    assert session.plan_watch.withdrawn is None
    ground, rules = session.planning.ground, session.planning.protocol
    wider = tuple(
        rule.model_copy(update={"margin_mm": 15.0, "preferred_mm": None})
        if rule.name == "Bone"
        else rule
        for rule in rules.structures
    )
    session.planning.use_protocol(rules.model_copy(update={"structures": wider}))
    assert session.planning.ground is ground, "distances hold for both"
    session.tick(2.0)
    assert "Right rib 7" in (session.plan_watch.withdrawn or "")
    session.planning.undo()
    session.tick(3.0)
    assert session.plan_watch.withdrawn is None


def test_a_plan_approved_in_place_of_a_withdrawn_one_starts_anew(volume: Volume) -> None:
    session = measured(volume)
    session.planning.set_entry(FREE)
    session.approving.approve()
    numbers = labels(volume).voxels.copy()
    numbers[38:42, 20:24, 42:46] = 6
    session.set_labels(LabelMap(numbers, volume.ct_from_voxel, NAMES))
    session.planning.take_ground(prepare(volume, session.case.labels, session.planning.protocol))
    session.tick(1.0)
    assert session.plan_watch.withdrawn is not None
    # Nothing is measured while the structures change: the judgement of the plan before is no
    # judgement of this one.
    session.set_labels(labels(volume))
    session.approving.approve(confirmed=True)
    session.tick(2.0)
    assert session.plan_watch.withdrawn is None


def test_going_back_to_the_plan_logs_the_protocol_that_comes_with_it(
    volume: Volume, tmp_path: Path
) -> None:
    session = measured(volume)
    session.start_log(tmp_path / "a.irlog")
    session.planning.set_entry(FREE)
    session.approving.approve()
    session.planning.back_to_plan()
    session.planning.use_protocol(shipped_protocol("lung_biopsy"))
    session.planning.back_to_plan()
    session.close()
    texts = [one.text for one in read_log(tmp_path / "a.irlog").events]
    protocols = [text for text in texts if text.startswith("protocol: ")]
    assert protocols == ["protocol: Lung biopsy", "protocol: Liver biopsy"]

"""CT to fluoro: found from far, judged honestly, followed, refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from ir_nav.cli import main
from ir_nav.geometry import apply, rigid_inverse
from ir_nav.registration import RegistrationError
from ir_nav.registration.fluoro.axes import axes_through
from ir_nav.registration.fluoro.following import follow
from ir_nav.registration.fluoro.local import refine
from ir_nav.registration.fluoro.outcome import FluoroRegistration, stated
from ir_nav.registration.fluoro.prepared import prepare_levels
from ir_nav.registration.fluoro.registration import (
    Spread,
    register_fluoro,
)
from ir_nav.registration.fluoro.view import FluoroFrame
from tests.data import data_path
from tests.registration.fluoro_scene import (
    CENTRE_CT_MM,
    along_ray_mm,
    mpd_mm,
    mtre_mm,
    off_by,
    scene,
)

FAR = (35.0, -40.0, 25.0), (18.0, -14.0, 20.0)
NEAR = (12.0, -14.0, 18.0), (8.0, -6.0, 9.0)


def registered(frames: int, start: np.ndarray, seed: int = 0) -> FluoroRegistration:
    made = scene()
    return register_fluoro(
        made.frames[:frames], made.attenuations, start, CENTRE_CT_MM, created_s=5.0, seed=seed
    )


def mirrored(frame: FluoroFrame) -> FluoroFrame:
    return replace(frame, image=np.ascontiguousarray(frame.image[:, ::-1]))


def test_two_views_find_the_place_from_far() -> None:
    start = off_by(*FAR)
    assert mtre_mm(start) > 55.0
    found = registered(2, start)
    assert found.registration.accepted, found.registration.reason
    assert mtre_mm(found.world_from_ct) < 0.5
    assert found.registration.confidence > 0.8
    assert not found.second_view_wanted
    assert found.registration.tre_mm(CENTRE_CT_MM) < 1.0


def test_one_view_finds_the_place_but_for_a_stated_depth() -> None:
    start = off_by(*NEAR)
    found = registered(1, start)
    view = scene().frames[0].view
    assert found.registration.accepted, found.registration.reason
    assert mpd_mm(start, view) > 10.0
    assert mpd_mm(found.world_from_ct, view) < 0.4
    assert abs(along_ray_mm(found.world_from_ct, view)) < 1.5 * found.depth_95_mm
    # Along the ray it knows several times less than across it.
    covariance = found.registration.covariance_mm2(CENTRE_CT_MM)
    spreads = np.sqrt(np.linalg.eigvalsh(covariance))
    assert spreads[2] > 3.0 * spreads[1]
    both = registered(2, start)
    assert both.depth_95_mm < 0.6 * found.depth_95_mm


def test_a_second_view_is_asked_for_when_little_is_seen() -> None:
    made = scene()
    image = made.frames[0].image.copy()
    image[:, :28] = image[:, 56:] = image[:28] = image[56:] = image.min() * 0.5
    small = replace(made.frames[0], image=image)
    found = register_fluoro(
        [small], made.attenuations, off_by((1, 0, 1), (0, 1, 0)), CENTRE_CT_MM,
        created_s=0.0, spread=Spread(3.0, 2.0),
    )  # fmt: skip
    assert found.depth_95_mm > 2.0
    assert found.second_view_wanted


def test_the_same_seed_gives_the_same_registration() -> None:
    first, second = (registered(1, off_by(*NEAR), seed=3) for _ in range(2))
    assert np.array_equal(first.world_from_ct, second.world_from_ct)


@pytest.mark.parametrize("count", [1, 2])
def test_a_mirrored_frame_is_refused_with_a_reason(count: int) -> None:
    made = scene()
    frames = [mirrored(frame) for frame in made.frames[:count]]
    found = register_fluoro(
        frames, made.attenuations, off_by((5, 5, 5), (2, 2, 2)), created_s=0.0
    )  # fmt: skip
    assert not found.registration.accepted
    assert "agree with the CT" in found.registration.reason
    assert found.registration.confidence < 0.2


def test_a_start_outside_the_beam_is_refused_not_raised() -> None:
    made = scene()
    aside = off_by((900.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    found = register_fluoro(made.frames[:1], made.attenuations, aside, created_s=0.0)
    assert not found.registration.accepted
    assert np.isfinite(found.registration.covariance).all()


def test_a_fit_that_did_not_come_to_rest_is_refused() -> None:
    made = scene()
    frames = made.frames[:1]
    level = prepare_levels(frames, made.attenuations[1:2])[0]
    carm_from_world = frames[0].view.carm_from_world
    axes = axes_through(carm_from_world, apply(off_by((0, 0, 0), (0, 0, 0)), CENTRE_CT_MM))
    start = off_by((4.0, 4.0, 0.0), (2.0, 0.0, 2.0))
    rushed = refine(level, axes, start, 1, central=True)
    rested = refine(level, axes, start, 12, central=True)
    assert not rushed.settled
    assert rested.settled
    assert mpd_mm(rested.world_from_ct, frames[0].view) < 0.5
    for fit, accepted in ((rested, True), (replace(rested, settled=False), False)):
        result = stated(
            fit, frames, axes, None,
            created_s=0.0, breathing="", runner_up=None, evaluations=1, seconds=0.1,
        ).registration  # fmt: skip
        assert result.accepted is accepted
        assert ("come to rest" in result.reason) is not accepted


def test_following_takes_up_a_small_motion() -> None:
    made = scene()
    last = registered(2, off_by(*NEAR))
    shifted = off_by((3.0, -2.0, 4.0), (1.5, -1.0, 2.0))
    frames = [
        # The patient moved: seen from where the CT was, the C-arm did.
        replace(f, view=replace(f.view, carm_from_world=f.view.carm_from_world @ _change(shifted)))
        for f in made.frames
    ]
    found = follow(last, frames, made.attenuations, created_s=6.0)
    assert found.registration.accepted, found.registration.reason
    assert mtre_mm(_change(shifted) @ found.world_from_ct) < 0.3


def _change(moved: np.ndarray) -> np.ndarray:
    return np.asarray(off_by((0, 0, 0), (0, 0, 0)) @ rigid_inverse(moved))


def test_following_refuses_what_does_not_belong() -> None:
    made = scene()
    last = registered(1, off_by(*NEAR))
    lost = follow(last, [mirrored(made.frames[0])], made.attenuations, created_s=6.0)
    assert not lost.registration.accepted
    refused = replace(last, registration=last.registration.refused("made for the test"))
    with pytest.raises(RegistrationError, match="register anew"):
        follow(refused, made.frames[:1], made.attenuations, created_s=6.0)


def test_following_refuses_a_drop_and_a_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    made = scene()
    last = registered(1, off_by(*NEAR))
    better = replace(last, similarities=(1.15,))
    dropped = follow(better, made.frames[:1], made.attenuations, created_s=6.0)
    assert not dropped.registration.accepted
    assert "the last one to 1.15" in dropped.registration.reason
    off = rigid_inverse(off_by((5.0, 0.0, 0.0), (0.0, 0.0, 0.0)))
    ct_from_reference = replace(last.registration.ct_from_reference, matrix=off)
    moved = replace(
        last, registration=replace(last.registration, ct_from_reference=ct_from_reference)
    )
    assert follow(moved, made.frames[:1], made.attenuations, created_s=6.0).registration.accepted
    monkeypatch.setattr("ir_nav.registration.fluoro.following.FOLLOWED_MM", 4.0)
    jumped = follow(moved, made.frames[:1], made.attenuations, created_s=6.0)
    assert "would have moved by 5 mm" in jumped.registration.reason


def test_progress_is_told_and_cancels() -> None:
    made = scene()
    parts: list[float] = []

    class CancelledError(Exception):
        pass

    def report(part: float) -> None:
        parts.append(part)
        if len(parts) == 2:
            raise CancelledError

    with pytest.raises(CancelledError):
        register_fluoro(
            made.frames, made.attenuations, off_by(*NEAR), created_s=0.0, progress=report
        )
    assert parts[0] == 0.0


def test_frames_that_cannot_be_used_are_refused_in_words() -> None:
    made = scene()
    frame = made.frames[0]
    bad = {
        "size": replace(frame, image=frame.image[:-1]),
        "one grey": replace(frame, image=np.full_like(frame.image, 7.0)),
        "not finite": replace(frame, image=np.where(frame.image > 100, np.nan, frame.image)),
        "neither saturated": replace(frame, image=np.minimum(frame.image, 1.0)),
    }
    words = {"size": "84 x 83 px"}
    for name, wrong in bad.items():
        with pytest.raises(RegistrationError, match=words.get(name, name)):
            register_fluoro([wrong], made.attenuations, off_by(*NEAR), created_s=0.0)
    with pytest.raises(RegistrationError, match="frames 1 and 2 are one and the same image"):
        register_fluoro([frame, frame], made.attenuations, off_by(*NEAR), created_s=0.0)
    with pytest.raises(RegistrationError, match="no fluoro frame"):
        register_fluoro([], made.attenuations, off_by(*NEAR), created_s=0.0)


def test_what_is_left_must_hold_gradients_at_every_resolution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = scene()
    monkeypatch.setattr("ir_nav.registration.fluoro.prepared.LEAST_PIXELS", 900)
    with pytest.raises(RegistrationError, match="too small pieces"):
        register_fluoro(made.frames[:1], made.attenuations, off_by(*NEAR), created_s=0.0)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = written(tmp_path)
    target = ",".join(map(str, CENTRE_CT_MM))
    assert main([*arguments, "--target", target, "--breathing", "end of expiration"]) == 0
    result = json.loads((tmp_path / "r.json").read_text())
    assert mtre_mm(np.array(result["world_from_ct"])) < 0.5
    assert result["accepted"]
    assert result["method"] == "fluoro"
    assert result["about_ct_mm"] == CENTRE_CT_MM.tolist()
    assert len(result["residuals"]) == 2
    assert result["inputs"][-1] == "breathing: end of expiration"
    assert 0.0 < result["depth_95_mm"] < 2.0
    assert result["second_view_wanted"] is False
    assert f"± {result['depth_95_mm']:.1f} mm (95 %)" in capsys.readouterr().out
    del arguments[-4:-2]  # one geometry less
    assert main(arguments) != 0
    assert "2 frames but 1 geometries" in capsys.readouterr().err


def written(folder: Path) -> list[str]:
    """The scene as files, and the command's arguments."""
    made = scene()
    arguments = ["register", "fluoro", "--ct"]
    arguments.append(str(data_path("ct", "chest_LIDC-IDRI-0001_2mm.nii.gz")))
    (folder / "i.json").write_text(json.dumps({"world_from_ct": off_by(*NEAR).tolist()}))
    arguments += ["--init", str(folder / "i.json")]
    for number, frame in enumerate(made.frames):
        image, geometry = folder / f"f{number}.mha", folder / f"g{number}.json"
        sitk.WriteImage(sitk.GetImageFromArray(frame.image.astype(np.uint16)), str(image))
        pinhole = frame.view.geometry
        document = {
            "format": 1,
            "sid_mm": pinhole.sid_mm,
            "pixel_mm": pinhole.pixel_mm,
            "size_px": pinhole.size_px,
            "principal_px": pinhole.principal_px,
            "carm_from_world": frame.view.carm_from_world.tolist(),
            "pixels": "intensity",
        }
        geometry.write_text(json.dumps(document))
        arguments += ["--frame", str(image), "--geometry", str(geometry)]
    return [*arguments, "--out", str(folder / "r.json")]

"""The plan sheet: who, which side, what is broken, and marks that lie where the CT says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reportlab import rl_config

from ir_nav import RESEARCH_LABEL
from ir_nav.imaging import Volume, VolumeInfo
from ir_nav.planning import Plan, PlanError, PlannedPath
from ir_nav.planning.catalogue import all_devices, device_named, instrument_of
from ir_nav.planning.finding import PlanFinding
from ir_nav.planning.instruments import Ablation
from ir_nav.planning.needles import with_needle
from ir_nav.planning.patient_words import place_words
from ir_nav.planning.plan import content_hash
from ir_nav.planning.target_mask import TargetMask
from ir_nav.review.plan_sheet import Paper, SheetContent, write_plan_sheet
from ir_nav.review.sheet_views import STANDARD, Mark, SheetView, sheet_views

ENTRY, TARGET = (-90.0, -40.0, 20.0), (-40.0, 10.0, -10.0)
SPACING = (1.5, 1.5, 3.0)
KINDS = ("core-18g-22mm", "coaxial-17g-18g-22mm", "pigtail-10f", "rf-cooled-wet-17g-20mm")


@pytest.fixture(autouse=True)
def _readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Page streams as plain text."""
    monkeypatch.setattr(rl_config, "pageCompression", 0)


def ct(**description: Any) -> Volume:
    """Water, 240 mm wide about the origin, with a bright 6 mm cube at the target."""
    size = [round(240.0 / step) for step in SPACING]
    ct_from_voxel = np.diag([*SPACING, 1.0])
    ct_from_voxel[:3, 3] = [
        -(count - 1) * step / 2 for count, step in zip(size, SPACING, strict=True)
    ]
    voxels = np.full(size[::-1], -60, dtype=np.int16)
    index = np.rint((np.array(TARGET) - ct_from_voxel[:3, 3]) / SPACING).astype(int)
    i, j, k = index
    voxels[k - 1 : k + 2, j - 2 : j + 3, i - 2 : i + 3] = 900
    info = VolumeInfo(**({"patient_name": "Torso, Test", "patient_id": "0042"} | description))
    return Volume(voxels, ct_from_voxel, "ct", info)


def plan(device: str = "core-18g-22mm", **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "name": "Segment <VI>",
        "ct_identity": "ct",
        "entry_ct_mm": ENTRY,
        "target_ct_mm": TARGET,
        "protocol": "Liver biopsy",
        "author": "Dr Müller",
    }
    instrument = instrument_of(device_named(all_devices(Path("/nowhere")), device), 80.0)
    return Plan.model_validate(values | changes).for_instrument(instrument)


def bright_target(volume: Volume) -> TargetMask:
    return TargetMask(volume.voxels > 500, volume.ct_from_voxel)


def views(volume: Volume, planned: Plan) -> tuple[SheetView, ...]:
    return sheet_views(volume, planned, bright_target(volume), (500, 400), STANDARD)


def printed(tmp_path: Path, content: SheetContent, paper: Paper = Paper.A4) -> list[str]:
    """What each page says."""
    path = tmp_path / "out" / "sheet.pdf"
    write_plan_sheet(content, path, paper)
    raw = path.read_bytes()
    assert raw.startswith(b"%PDF-")
    streams = [s for s in re.findall(rb"stream\r?\n(.*?)endstream", raw, re.DOTALL) if b" Tj" in s]
    assert len(streams) == int(re.search(rb"/Count (\d+)", raw).group(1))  # type: ignore[union-attr]
    return [" ".join(_words(stream)) for stream in streams]


def _words(stream: bytes) -> list[str]:
    found = re.findall(rb"\((.*?)(?<!\\)\) Tj", stream)
    octal = re.compile(r"\\(\d{3})")
    return [
        octal.sub(lambda code: chr(int(code.group(1), 8)), text.decode("latin-1"))
        .replace("\\(", "(")
        .replace("\\)", ")")
        for text in found
    ]


def says(text: str, words: str) -> bool:
    """Spaces apart: markup characters are set one by one."""
    return "".join(words.split()) in "".join(text.split())


def test_every_page_says_who_which_side_and_that_it_is_research(tmp_path: Path) -> None:
    found = printed(tmp_path, SheetContent(plan(), ct()))
    assert len(found) >= 2
    for number, text in enumerate(found, start=1):
        for words in ("Torso, Test", "0042", "RIGHT", RESEARCH_LABEL, f"Page {number}"):
            assert says(text, words), words
    stated = printed(tmp_path, SheetContent(plan(), ct(laterality="L")))
    assert all(says(text, "LEFT") and not says(text, "RIGHT") for text in stated)


def test_the_plan_is_on_paper(tmp_path: Path) -> None:
    content = SheetContent(plan(), ct(), checklist=("Consent & clotting", "Fasting"))
    text = " ".join(printed(tmp_path, content))
    for words in (
        "Segment <VI>",
        "-90.0, -40.0, 20.0",
        "-40.0, 10.0, -10.0",
        "R 40 · P 10 · F 10 mm",
        f"{content.plan.path.length_mm:.0f} mm from entry to tip",
        "44 mm to the left, 44 mm to the back, 26 mm to the feet",
        "a tilt of 31° is beyond any gantry",
        "Tip 23° toward feet (F)",
        "18 G (1.30 mm) x 100 mm",
        "tip 9.5 mm before the aim",
        "12.5 mm past the aim",
        "Dr Müller",
        "Consent & clotting",
        content_hash(content.plan),
        "Nothing was measured",
        "50 mm",
    ):
        assert says(text, words), words


def test_what_is_broken_is_said_in_words(tmp_path: Path) -> None:
    findings = (
        PlanFinding("Clearance", "Vessel", 7.25, "mm", 5.0, hard=True, passes=True),
        PlanFinding("Clearance", "Rib 9", 1.2, "mm", 2.0, hard=True, passes=False),
        PlanFinding("Skin angle", "", 35.0, "°", 30.0, hard=False, passes=False, most=True),
        PlanFinding("Length", "", 77.0, "mm", None, hard=False, passes=True),
    )
    text = " ".join(printed(tmp_path, SheetContent(plan(), ct(), findings)))
    assert says(text, "Clearance: Vessel 7.2 mm at least 5 mm kept")
    assert says(text, "Clearance: Rib 9 1.2 mm at least 2 mm NOT KEPT: hard limit")
    assert says(text, "Skin angle 35° at most 30° wish not met")
    # What is not kept stands first.
    assert text.index("Rib 9") < text.index("Skin angle") < text.index("Vessel")
    assert says(text, "Length 77.0 mm for information")


@pytest.mark.parametrize("device", KINDS)
@pytest.mark.parametrize("paper", list(Paper))
def test_each_kind_fits_on_each_paper(tmp_path: Path, device: str, paper: Paper) -> None:
    volume = ct()
    content = SheetContent(plan(device), volume, target=bright_target(volume))
    assert len(printed(tmp_path, content, paper)) == 2
    raw = (tmp_path / "out" / "sheet.pdf").read_bytes()
    wide = float(re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", raw).group(1))  # type: ignore[union-attr]
    assert wide == pytest.approx({Paper.A4: 595.28, Paper.LETTER: 612.0}[paper], abs=0.1)
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["sheet.pdf"]


def test_a_name_the_paper_cannot_write_is_not_shown_as_signs(tmp_path: Path) -> None:
    text = printed(tmp_path, SheetContent(plan(), ct(patient_name="Иванов")))[0]
    assert says(text, "Name not in Latin letters: see the number")
    assert "??" not in text
    assert says(printed(tmp_path, SheetContent(plan(), ct(patient_name="")))[0], "not named")


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PlanError, match="cannot be written"):
        write_plan_sheet(SheetContent(plan(), ct()), tmp_path / "file" / "sheet.pdf")


def test_marks_lie_where_the_ct_shows_the_target() -> None:
    volume = ct()
    for view in views(volume, plan()):
        column, row = np.rint(view.aim_px).astype(int)
        assert view.image[row, column] == 255, view.title
        background = view.image[view.image > 0]
        assert np.median(background) < 80
        outline = next(trace for trace in view.traces if trace.mark is Mark.TARGET)
        middle_px = (outline.points_px.min(axis=0) + outline.points_px.max(axis=0)) / 2.0
        apart_mm = np.linalg.norm(middle_px - view.aim_px) * view.mm_per_px
        assert apart_mm < 2.0, view.title


def test_the_path_is_true_to_scale_in_its_own_plane() -> None:
    planned = plan()
    axial, along, coronal, sagittal = views(ct(), planned)
    length_px = np.linalg.norm(along.targets_px[0] - along.entries_px[0])
    assert length_px * along.mm_per_px == pytest.approx(planned.path.length_mm)
    assert not [trace for trace in along.traces if trace.mark is Mark.BESIDE]
    # 50 mm to the left and 50 mm to the back: right and down in the axial slice.
    moved_mm = (axial.aim_px - axial.entries_px[0]) * axial.mm_per_px
    np.testing.assert_allclose(moved_mm, (50.0, 50.0))
    moved_mm = (coronal.aim_px - coronal.entries_px[0]) * coronal.mm_per_px
    np.testing.assert_allclose(moved_mm, (50.0, 30.0))
    assert axial.letters == ("R", "L", "A", "P")
    assert coronal.letters == ("R", "L", "H", "F")
    assert sagittal.letters == ("A", "P", "H", "F")
    assert {"R", "L"} == {along.letters[0][0], along.letters[1][0]}


def test_the_path_beside_the_slice_is_told_from_the_path_in_it() -> None:
    planned = plan("chiba-20g")
    axial = views(ct(), planned)[0]
    inside = [trace for trace in axial.traces if trace.mark is Mark.PATH]
    beside = [trace for trace in axial.traces if trace.mark is Mark.BESIDE]
    assert (len(inside), len(beside)) == (1, 1)
    length_px = np.linalg.norm(axial.targets_px[0] - axial.entries_px[0])
    shown_px = np.linalg.norm(np.ptp(inside[0].points_px, axis=0))
    # Of the 30 mm that it comes down the last 4 lie in the slice.
    assert shown_px / length_px == pytest.approx(4.0 / 30.0, abs=0.02)


def test_every_picture_shows_all_needles() -> None:
    for target in (TARGET, (80.0, 70.0, 90.0)):
        for view in views(ct(), plan(target_ct_mm=target)):
            ends = np.vstack([view.entries_px, view.targets_px])
            assert np.all(ends >= 0), view.title
            assert np.all(ends <= (499, 399)), view.title


def test_every_needle_is_on_page_one_and_findings_go_by_needle(tmp_path: Path) -> None:
    one = plan(next(kind for kind in KINDS if plan(kind).instrument.kind == "ablation"))
    beside = PlannedPath.between((-90.0, -40.0, 30.0), (-40.0, 10.0, 0.0))
    widened = with_needle(one, beside)
    findings = (
        PlanFinding("Length, needle 1", "", 76.0, "mm", 150.0, True, True, most=True),
        PlanFinding("Tilt at the skin, needle 2", "", 6.8, "°", 30.0, False, True, most=True),
        PlanFinding("Clearance, needle 2", "Rib 9", 1.0, "mm", 2.0, True, False),
        PlanFinding("Needle 1 left outside", "", 20.0, "mm", 0.0, True, True),
        PlanFinding("Target covered", "", 92.4, "%", 100.0, True, False),
    )
    pages = printed(tmp_path, SheetContent(widened, ct(), findings))
    for path in widened.paths:
        assert says(pages[0], place_words(path.entry_ct_mm))
        assert says(pages[0], f"{path.length_mm:.0f} mm")
    assert says(pages[0], "Target covered: 92 %, NOT KEPT: hard limit")
    assert isinstance(widened.instrument, Ablation)
    assert says(pages[0], widened.instrument.zone.source.split(",")[0])
    text = " ".join(pages).split("Findings and limits")[1]
    order = ("All needles", "Needle 1", "Length", "Needle 2", "Rib 9", "Tilt at the skin")
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert says(text, "Tilt at the skin, needle 2 7° at most 30° kept")
    made = widened.created.astimezone().strftime("%Y-%m-%d %H:%M %Z")
    assert says(text, made)


def test_a_bare_point_is_named_as_one(tmp_path: Path) -> None:
    words = "point in Liver, no lesion outlined"
    text = " ".join(printed(tmp_path, SheetContent(plan(), ct(), aimed_at=words)))
    assert says(text, words)


def test_the_c_arms_views_stand_with_gantry_and_table(tmp_path: Path) -> None:
    words = "Entry view LAO 30° CRAN 5°; progress 1 RAO 60° CAUD 0° (out of reach)"
    text = " ".join(printed(tmp_path, SheetContent(plan(), ct(), carm=words)))
    assert says(text, f"C-arm {words}")
    assert not says(" ".join(printed(tmp_path, SheetContent(plan(), ct()))), "C-arm")

"""A detector that distorts: measured with its grid, named in the room file, corrected live."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hw_mocks.intensifier import Intensifier
from ir_nav.cli import main
from ir_nav.geometry import FloatArray, apply, read_only, rigid_inverse
from ir_nav.imaging import read_volume
from ir_nav.registration.fluoro.attenuation import Attenuation
from ir_nav.registration.fluoro.registration import Spread, fluoro_attenuations, register_fluoro
from ir_nav.registration.fluoro.view import CArmView, FluoroFrame, Pixels
from ir_nav.session.fluoro_views import grey
from ir_nav.session.room import FluoroEntry
from ir_nav.session.session import Session

pytestmark = pytest.mark.end_to_end

WAIT_S = 120.0
INTENSIFIER = Intensifier(0.04, 0.02)
OPTIONS = ("--pincushion", "0.04", "--s-turn", "0.02", "--breathing-mm", "0")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    """The room file of a room in a process of its own."""
    file = tmp_path / "room.toml"
    command = [sys.executable, "-m", "hw_mocks", "--room", str(file), *OPTIONS]
    process = subprocess.Popen(
        [*command, "--while-parent", str(os.getpid())], stdout=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + WAIT_S
        while not file.exists():
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        yield file
    finally:
        process.kill()
        process.wait()


def live_frame(room_file: Path) -> tuple[FluoroEntry, np.ndarray]:
    """A frame as the console takes it, over the wire."""
    with_log = room_file.with_suffix(".irlog")
    session = Session(new_log=lambda: with_log)
    try:
        room = session.open_room(room_file)
        session.connect()
        streams = session.connection.require_streams()
        end = time.monotonic() + WAIT_S
        while not streams.fluoro.newest_first():
            assert time.monotonic() < end
            time.sleep(0.02)
        assert room.fluoro is not None
        return room.fluoro, grey(streams.fluoro.newest_first()[0])
    finally:
        session.close()


def overlay_error_px(
    entry: FluoroEntry,
    image: np.ndarray,
    attenuations: tuple[Attenuation, ...],
    carm_from_ct: FloatArray,
    *,
    straight: bool,
) -> float:
    """Mean distance of where an overlay is drawn after registering by the frame from where the
    frame shows it, over a box about the isocentre."""
    frame = FluoroFrame(CArmView(entry.geometry, read_only(carm_from_ct), Pixels.INTENSITY), image)
    # World is the true CT: the truth is the identity.
    found = register_fluoro(
        [frame], attenuations, np.eye(4), created_s=0.0, spread=Spread.within(5.0, 3.0)
    )
    middle = apply(rigid_inverse(carm_from_ct), np.array([0.0, 0.0, 700.0]))
    box = (np.indices((3, 3, 3)).reshape(3, 27).T / 2.0 - 0.5) * 120.0 + middle
    true_px = entry.geometry.project(apply(carm_from_ct, box))
    shown = true_px if straight else INTENSIFIER.seen_px(true_px, entry.size_px)
    drawn = entry.geometry.project(apply(carm_from_ct @ found.world_from_ct, box))
    return float(np.linalg.norm(drawn - shown, axis=1).mean())


def test_the_overlay_is_right_once_the_room_file_names_the_distortion(served: Path) -> None:
    folder = served.parent
    grid = [str(folder / name) for name in ("detector-grid.mha", "detector-grid.json")]
    command = ["carm", "distortion", grid[0], "--grid", grid[1], "--pixel-mm", "0.6"]
    assert main([*command, "--out", str(folder / "distortion.json")]) == 0
    text = served.read_text(encoding="utf-8")
    corrected = folder / "corrected.toml"
    key = '[fluoro]\ndistortion = "distortion.json"\n'
    corrected.write_text(text.replace("[fluoro]\n", key), encoding="utf-8")
    with (folder / "truth.jsonl").open(encoding="utf-8") as lines:
        carm_from_ct = np.array(json.loads(next(lines))["carm_from_ct"])
    entry, bent = live_frame(served)
    entry_corrected, straight = live_frame(corrected)
    assert entry.distortion is None
    assert entry_corrected.distortion == folder / "distortion.json"
    attenuations = fluoro_attenuations(read_volume(Path(_ct_of(text))))
    before = overlay_error_px(entry, bent, attenuations, carm_from_ct, straight=False)
    after = overlay_error_px(entry, straight, attenuations, carm_from_ct, straight=True)
    assert after < 1.0, (before, after)
    assert before > 3.0 * after, (before, after)


def _ct_of(room_text: str) -> str:
    line = next(line for line in room_text.splitlines() if line.startswith("ct = "))
    return str(json.loads(line.removeprefix("ct = ")))

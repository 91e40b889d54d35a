"""The projector on a GPU: the same frames in numba's simulator, and no harm without a GPU."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro import projector_device
from ir_nav.registration.fluoro.carm_angles import CArmAngles, carm_from_ct
from ir_nav.registration.fluoro.projector import project, project_poses
from tests.registration.projector_simulated import GEOMETRY, tiny

ROOT = Path(__file__).parents[2]


def drawn() -> np.ndarray:
    attenuation = tiny()
    pose = carm_from_ct(CArmAngles(0.0, 0.0), attenuation.centre_ct_mm, 650.0)
    frame = project(attenuation, GEOMETRY, pose)
    assert project_poses(attenuation, GEOMETRY, pose[None])[0] == pytest.approx(frame, abs=1e-5)
    return frame


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)
    monkeypatch.delenv(projector_device.VARIABLE, raising=False)
    if projector_device._driver_is_there():
        pytest.skip("this host has a GPU's driver")


def test_the_device_draws_what_the_processor_draws() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.registration.projector_simulated"],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"},
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert min(found["highest"]) > 0.5  # otherwise there was nothing to see
    assert max(found["off"]) < 1e-5 * max(found["highest"])
    assert found["off_alone"] < 1e-5 * max(found["highest"])
    assert found["refused"]
    assert "focal spot would lie within the CT" in found["refusal"]
    assert found["unseen"] == 0.0
    # A CT is on the device once, and goes with the last that uses it.
    assert (found["held"], found["held_after"]) == (1, 0)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_processor_draws_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    assert drawn().max() > 0.5
    assert not caplog.records
    assert "numba.cuda" not in json.loads(_modules())


def _modules() -> str:
    """What a program that draws a frame has imported, as JSON."""
    code = (
        "import json, sys; from tests.registration.test_projector_device import drawn; drawn(); "
        "print(json.dumps(list(sys.modules)))"
    )
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True,
        timeout=200,
    ).stdout  # fmt: skip


@pytest.mark.usefixtures("no_gpu")
def test_asked_for_and_absent_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(projector_device.VARIABLE, "cuda")
    with pytest.raises(RegistrationError, match=r"NVIDIA GPU.*ir-nav\[gpu\].*IR_NAV_PROJECTOR=cpu"):
        drawn()


def test_an_unknown_wish_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(projector_device.VARIABLE, "opencl")
    with pytest.raises(RegistrationError, match="'opencl': set it to cpu or cuda"):
        drawn()


def test_a_gpu_that_fails_is_given_up_with_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries = []

    def render(*_: object) -> None:
        tries.append(1)
        raise OSError("out of memory")

    monkeypatch.delenv(projector_device.VARIABLE, raising=False)
    monkeypatch.setattr(projector_device, "_driver_is_there", lambda: True)
    monkeypatch.setattr(projector_device, "_started", lambda: SimpleNamespace(render=render))
    monkeypatch.setattr(projector_device, "_given_up", threading.Event())
    with caplog.at_level(logging.WARNING):
        first, second = drawn(), drawn()
    assert len(tries) == 1
    assert first.max() > 0.5
    assert np.array_equal(first, second)
    assert [record.getMessage() for record in caplog.records] == [
        "the GPU is not used, the processor draws instead: out of memory"
    ]
    monkeypatch.setenv(projector_device.VARIABLE, "cuda")
    with pytest.raises(RegistrationError, match="out of memory"):
        drawn()
    monkeypatch.setenv(projector_device.VARIABLE, "cpu")
    assert np.array_equal(drawn(), first)
    assert len(tries) == 2

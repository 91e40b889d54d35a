"""The plain peer: gradient NCC and Py-BOBYQA, 4 mm at 64 px, then 2 mm at 128 px.

Py-BOBYQA runs in an interpreter of its own and asks over a pipe for values, which are computed
here with ir_nav's projector: what differs is the similarity, the masks and the search.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray, apply
from ir_nav.registration.fluoro.attenuation import Attenuation
from ir_nav.registration.fluoro.axes import Axes, axes_through
from ir_nav.registration.fluoro.projector import coarsened, project
from ir_nav.registration.fluoro.view import FluoroFrame

PYTHON = "IR_NAV_PEERS_PYTHON"
STEPS = np.array([10.0, 10.0, 10.0, 5.0, 5.0, 5.0])
SERVED = """
import json, sys
import numpy as np
import pybobyqa
import warnings
warnings.filterwarnings("ignore")
reach, radius, most = json.loads(sys.stdin.readline())
def value(x):
    print(json.dumps(list(x)), flush=True)
    return float(sys.stdin.readline())
zero = np.zeros(6)
box = np.full(6, reach)
found = pybobyqa.solve(value, zero, bounds=(-box, box), rhobeg=radius, rhoend=radius / 200,
                       maxfun=most)
print(json.dumps({"x": list(found.x), "f": float(found.f)}), flush=True)
"""


def bobyqa(
    frames: list[FluoroFrame],
    attenuations: tuple[Attenuation, ...],
    start: FloatArray,
    centre: FloatArray,
    _wanted: object,
    _seed: int,
) -> dict[str, Any]:
    """world_from_ct, and what it took; CPU seconds of both processes, its start included."""
    axes = axes_through(frames[0].view.carm_from_world, apply(start, centre))
    began, used = time.perf_counter(), _cpu_s()
    pose, count = start, 0
    for attenuation, factor, radius, most in (
        (attenuations[1], 8, 1.0, 300),
        (attenuations[2], 4, 0.1, 120),
    ):
        pose, asked = _descent(frames, attenuation, factor, axes, pose, radius, most)
        count += asked
    wall, cpu = time.perf_counter() - began, _cpu_s() - used
    return {
        "world_from_ct": pose.tolist(),
        "accepted": True,
        "evaluations": count,
        "wall_s": wall,
        "cpu_s": cpu,
    }


def _cpu_s() -> float:
    """Of this process and of those it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _descent(
    frames: list[FluoroFrame],
    attenuation: Attenuation,
    factor: int,
    axes: Axes,
    pose: FloatArray,
    radius: float,
    most: int,
) -> tuple[FloatArray, int]:
    value = _objective(frames, attenuation, factor)
    count = 0
    with subprocess.Popen(
        [os.environ[PYTHON], "-c", SERVED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    ) as peer:
        if peer.stdin is None or peer.stdout is None:
            raise RuntimeError("no pipe to the peer")
        peer.stdin.write(json.dumps([12.0, radius, most]) + "\n")
        peer.stdin.flush()
        while True:
            asked = json.loads(peer.stdout.readline())
            if isinstance(asked, dict):
                moved = axes.moved(np.array([asked["x"]]) * STEPS, pose)[0]
                return moved, count
            count += 1
            moved = axes.moved(np.array([asked]) * STEPS, pose)[0]
            peer.stdin.write(f"{value(moved)!r}\n")
            peer.stdin.flush()


def _objective(
    frames: list[FluoroFrame], attenuation: Attenuation, factor: int
) -> Callable[[FloatArray], float]:
    """Minus the mean gradient NCC of all frames, whole images, after the logarithm."""
    fixed = []
    for frame in frames:
        rows, columns = (size // factor for size in frame.image.shape)
        small = cv2.resize(frame.image, (columns, rows), interpolation=cv2.INTER_AREA)
        absorbed = -np.log(np.maximum(small / frame.image.max(), 1e-3))
        fixed.append((coarsened(frame.view.geometry, factor), _gradients(absorbed)))

    def value(world_from_ct: FloatArray) -> float:
        total = 0.0
        for frame, (geometry, (across, down)) in zip(frames, fixed, strict=True):
            drawn = project(attenuation, geometry, frame.view.carm_from_world @ world_from_ct)
            x, y = _gradients(drawn)
            total += (_ncc(across, x) + _ncc(down, y)) / 2.0
        return -total / len(frames)

    return value


def _gradients(image: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    return cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1)


def _ncc(first: NDArray[Any], second: NDArray[Any]) -> float:
    a, b = first - first.mean(), second - second.mean()
    return float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1e-12))

"""The truth of a run, for tests and summaries only; it never goes over a wire.

JSON lines. The first holds what does not change, each other one instant.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hw_mocks.world import Scene, World
from ir_nav.geometry import rigid_inverse


class TruthFile:
    """Appends the truth of each instant; flushed once a second."""

    def __init__(self, path: Path, world: World) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._lines = 0
        self._write(_constants(world))

    def instant(self, scene: Scene) -> None:
        self._write(
            {
                "t": scene.time_s,
                "tip": [round(float(v), 5) for v in scene.needle_tip_tissue_mm],
                "axis": [round(float(v), 7) for v in scene.needle.direction],
                "level": round(scene.level, 5),
            }
        )

    def close(self) -> None:
        self._file.close()

    def _write(self, record: dict[str, Any]) -> None:
        self._file.write(json.dumps(record) + "\n")
        self._lines += 1
        if self._lines % 30 == 1:
            self._file.flush()


def _constants(world: World) -> dict[str, Any]:
    rest_from_reference = world.rest_from_reference
    return {
        "format": 1,
        "seed": world.parameters.seed,
        "ct_from_reference": rest_from_reference.tolist(),
        "tracker_from_ct": world.tracker_from_rest.tolist(),
        "carm_from_ct": world.carm_from_rest.tolist(),
        "needle_from_tip": world.needle.tool_from_tip.tolist(),
        "stylus_from_tip": world.stylus.tool_from_tip.tolist(),
        "reference_from_ct": rigid_inverse(rest_from_reference).tolist(),
        "breathing_mm": world.parameters.breathing_mm,
        "tracker_noise_mm": world.parameters.tracker_noise_mm,
    }

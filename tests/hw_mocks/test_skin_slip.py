"""Markers that lie elsewhere on the patient than in the CT."""

from __future__ import annotations

import numpy as np
import pytest

from hw_mocks.site import Skin, slipped
from hw_mocks.skin import skin_mask
from tests.hw_mocks.test_skin import RADIUS_MM, cylinder


def test_markers_slip_along_the_skin_by_as_much_as_is_said() -> None:
    anatomy = cylinder()
    skin = Skin(anatomy, skin_mask(anatomy))
    angles = np.radians([-130.0, -90.0, -50.0, 10.0])
    on_skin = RADIUS_MM * np.column_stack([np.cos(angles), np.sin(angles), np.zeros(4)])
    on_skin[:, 2] = (-40.0, 0.0, 30.0, 50.0)
    steps = []
    for seed in range(100):
        step = slipped(skin, on_skin, 3.0, np.random.default_rng(seed)) - on_skin
        outward = on_skin[:, :2] / RADIUS_MM
        assert np.abs(np.sum(step[:, :2] * outward, axis=1)).max() < 1.0, "along the skin"
        steps.append(step)
    rms = np.sqrt(np.mean(np.sum(np.square(steps), axis=2)))
    assert rms == pytest.approx(3.0, rel=0.1)
    # What is alike for all cannot be seen in the residuals of a fit.
    alike = np.mean(steps, axis=1)
    assert np.sqrt(np.mean(np.sum(alike**2, axis=1))) > 1.5
    assert slipped(skin, on_skin, 0.0, np.random.default_rng(1)) is on_skin

"""Frames that never fitted well have to keep a least similarity, not only a share of their own."""

from __future__ import annotations

import pytest

from ir_nav.registration.ultrasound.live_check import FrameQuality, displacements_ct_mm
from ir_nav.registration.ultrasound.quality_trace import Fit, QualityTrace


def after(begun: float, then: float) -> Fit:
    """What a trace says that began with one similarity and goes on with another."""
    trace = QualityTrace()
    beside = (0.0,) * len(displacements_ct_mm())
    for number in range(40):
        similarity = begun if number < 20 else then
        trace = trace.with_frame(0.2 * number, FrameQuality(similarity, beside, 0.5))
    return trace.verdict(0.2 * 39).fit


@pytest.mark.parametrize(
    ("begun", "then", "fit"),
    [(0.2, 0.14, Fit.LOST), (0.2, 0.16, Fit.HOLDS), (0.6, 0.34, Fit.LOST), (0.6, 0.38, Fit.HOLDS)],
)
def test_the_larger_of_share_and_floor_counts(begun: float, then: float, fit: Fit) -> None:
    assert after(begun, then) is fit

"""How far a sweep's registration may be off, how sure it is, and when it is refused."""

from __future__ import annotations

import numpy as np

from ir_nav.geometry import FloatArray

# Samples that lie close together are not independent of each other: this part of them counts.
# Calibrated (docs/registration-ultrasound.md).
INDEPENDENT_SHARE = 0.05
# What no curvature knows: the tracker, the probe's calibration, edges that lie elsewhere in
# ultrasound than in CT. Standard deviations along and about each axis.
FLOOR_MM, FLOOR_DEG = 0.2, 0.1
# What a breath may leave that nobody measured, mm along x, y, z: most of it head to foot.
UNKNOWN_BREATH_MM = (0.4, 0.6, 1.2)
LEAST_CONFIDENCE = 0.5
MOST_TRE_MM = 3.0
# Similarity of a right place, and how much better than elsewhere it is.
FAIR_VALUE, VALUE_WIDTH = 0.11, 0.012
FAIR_RATIO, RATIO_WIDTH = 1.3, 0.08
MOST_MOVED_MM = 35.0
MOST_SHIFT_MM = 4.0


def motion_covariance_of(
    curvature: FloatArray, value: float, samples: float, *, breath_known: bool
) -> FloatArray:
    """(6, 6): translation mm, rotation vector deg, from the similarity's curvature (6, 6).

    With residuals that are normal, the log likelihood of a correlation ratio s over n independent
    samples is -n/2 log(1 - s) (Roche et al. 2000, Unifying maximum likelihood approaches in
    medical image registration); its second derivative at the top, inverted, is the covariance.
    A direction without a top gets a deviation of 30 mm or degrees. Where the breath is not known
    to be that of the CT, what breathing may leave is added.
    """
    independent = INDEPENDENT_SHARE * samples
    information = -0.5 * independent * curvature / max(1.0 - value, 1e-3)
    values, axes = np.linalg.eigh(information)
    spread = 1.0 / np.maximum(values, 30.0**-2)
    covariance = (axes * spread) @ axes.T
    covariance += np.diag([FLOOR_MM**2] * 3 + [FLOOR_DEG**2] * 3)
    covariance = (covariance + covariance.T) / 2.0
    return np.asarray(covariance if breath_known else with_unknown_breath(covariance))


def with_unknown_breath(covariance: FloatArray) -> FloatArray:
    """A covariance (6, 6) with what a breath may leave that nobody measured."""
    return covariance + np.diag([*np.square(UNKNOWN_BREATH_MM), 0.0, 0.0, 0.0])


def confidence_of(value: float, rival: float) -> float:
    """0 to 1, whether the place is the right one: both high enough and above every other."""
    high = 1.0 / (1.0 + np.exp(-(value - FAIR_VALUE) / VALUE_WIDTH))
    ratio = value / max(rival, 1e-6)
    above = 1.0 / (1.0 + np.exp(-np.clip((ratio - FAIR_RATIO) / RATIO_WIDTH, -50.0, 50.0)))
    return float(high * above)


def refusal_of(covariance: FloatArray, confidence: float, moved_mm: float) -> str:
    """Why the registration is not to be used, in words; "" where nothing speaks against it."""
    if confidence < LEAST_CONFIDENCE:
        return (
            f"only {100 * confidence:.0f} % sure of the place: another one fits the sweep nearly "
            "as well, or none does. Start nearer (landmarks, one locked plane) or sweep again "
            "from several windows with vessels, diaphragm and ribs in view; where there is little "
            "but bone, register by the bone"
        )
    tre_mm = float(np.sqrt(np.trace(covariance[:3, :3])))
    if tre_mm > MOST_TRE_MM:
        return (
            f"the sweep leaves {tre_mm:.1f} mm (rms) open at the target: sweep again, also from "
            "a window across this one"
        )
    if moved_mm > MOST_MOVED_MM:
        return (
            f"the result lies {moved_mm:.0f} mm from the start, beyond what is searched "
            "reliably: check the start"
        )
    return ""


def breathing_doubt(shift_mm: float) -> str:
    """Why tissue that moved against itself forbids a rigid registration, or ""."""
    if shift_mm <= MOST_SHIFT_MM:
        return ""
    return (
        f"round the target the fit lies {shift_mm:.1f} mm from that of the whole sweep: the "
        "tissue has moved against itself. Sweep at the breath-hold of the CT, and more round "
        "the target"
    )

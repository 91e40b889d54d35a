"""What a fluoro registration states: place, error, depth, and whether to believe it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, Frame, Transform, apply, rigid_inverse
from ir_nav.registration.fluoro.axes import Axes
from ir_nav.registration.fluoro.local import Fit
from ir_nav.registration.fluoro.view import FluoroFrame
from ir_nav.registration.registration import Method, Registration, Residual

# At the middle resolution: a search that ends above this has found the place. Simulated frames
# gave at least 0.86 at the right place and at most 0.76 at a wrong one.
CONVINCING = 0.90
ACCEPTED = 0.80
RIVAL = 0.05
DEPTH_WANTED_MM = 2.0
# So many cluster-robust standard deviations, times 1.96, held 95 % of the errors along the ray, in
# poses other than those that it is judged on (docs/registration-fluoro.md).
CALIBRATION = 1.9
NORMAL_95 = 1.96


@dataclass(frozen=True, slots=True, eq=False)
class FluoroRegistration:
    """registration: about the target. similarities: one a frame, -1 to 1. depth_95_mm: half the
    95 % interval of the target's place along the first frame's ray. second_view_wanted: whether
    that exceeds 2 mm. runner_up: similarity of the best other place that was found, or None.
    """

    registration: Registration
    similarities: tuple[float, ...]
    depth_95_mm: float
    second_view_wanted: bool
    runner_up: float | None

    @property
    def world_from_ct(self) -> FloatArray:
        """(4, 4), mm."""
        return rigid_inverse(self.registration.ct_from_reference.matrix)


def stated(
    final: Fit,
    frames: Sequence[FluoroFrame],
    axes: Axes,
    target_ct_mm: ArrayLike | None,
    *,
    created_s: float,
    breathing: str,
    runner_up: float | None,
    evaluations: int,
    seconds: float,
) -> FluoroRegistration:
    """The fit as a registration about the target, with its gate."""
    ct_from_world = rigid_inverse(final.world_from_ct)
    target = apply(ct_from_world, axes.centre_world_mm) if target_ct_mm is None else target_ct_mm
    about = np.asarray(target, dtype=np.float64)
    covariance = _about_target(final, axes, about) * CALIBRATION**2
    reason = _refusal(final, runner_up)
    registration = Registration(
        Method.FLUORO,
        Transform(Frame.CT, Frame.REFERENCE, ct_from_world),
        tuple(
            Residual(f"frame {number}", 1.0 - value, "of 1, dissimilarity")
            for number, value in enumerate(final.similarities, start=1)
        ),
        covariance,
        about,
        _confidence(final.similarity, runner_up),
        evaluations,
        seconds,
        created_s,
        accepted=not reason,
        reason=reason,
        inputs=(
            *(_words(frame, number) for number, frame in enumerate(frames, start=1)),
            f"breathing: {breathing or 'not stated'}",
        ),
    )
    carm_from_ct = frames[0].view.carm_from_world @ final.world_from_ct
    ray = about - rigid_inverse(carm_from_ct)[:3, 3]
    ray = ray / np.linalg.norm(ray)
    depth = NORMAL_95 * float(np.sqrt(ray @ registration.covariance_mm2(about) @ ray))
    return FluoroRegistration(
        registration, final.similarities, depth, depth > DEPTH_WANTED_MM, runner_up
    )


def _about_target(final: Fit, axes: Axes, target_ct_mm: FloatArray) -> FloatArray:
    """(6, 6) of the motion in CT axes about the target, from that in `axes` about its centre."""
    ct_from_axes = final.world_from_ct[:3, :3].T @ axes.world_from_axes
    centre_ct_mm = apply(rigid_inverse(final.world_from_ct), axes.centre_world_mm)
    x, y, z = target_ct_mm - centre_ct_mm
    turned = np.array([[0.0, z, -y], [-z, 0.0, x], [y, -x, 0.0]])
    jacobian = np.zeros((6, 6))
    jacobian[:3, :3] = jacobian[3:, 3:] = ct_from_axes
    jacobian[:3, 3:] = np.radians(turned) @ ct_from_axes
    return np.asarray(jacobian @ final.covariance @ jacobian.T)


def _refusal(final: Fit, runner_up: float | None) -> str:
    if final.similarity < ACCEPTED:
        return (
            f"the frames agree with the CT to {final.similarity:.2f} only, {ACCEPTED:.2f} is "
            "needed: begin nearer, open the collimator, or check that CT, geometry and breath-hold "
            "belong together"
        )
    if not final.settled:
        return "the fit did not come to rest: begin nearer or take a second view"
    if runner_up is not None and final.similarity - runner_up < RIVAL:
        return "two places fit about equally well: begin nearer or take a second view"
    return ""


def _confidence(value: float, runner_up: float | None) -> float:
    """0 at what a wrong place reaches, 1 at what every right one does; less by a near rival."""
    sure = np.clip((value - 0.7) / (CONVINCING - 0.7), 0.0, 1.0)
    rival = 1.0 if runner_up is None else np.clip((value - runner_up) / 0.15, 0.0, 1.0)
    return float(sure * rival)


def _words(frame: FluoroFrame, number: int) -> str:
    width, height = frame.view.geometry.size_px
    return f"frame {number}: {width} x {height} px, {frame.view.pixels}"

"""Following: each new frame registered from the last accepted pose, in a tenth of a second."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ir_nav.geometry import apply, rigid_inverse, rotation_between_deg
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.attenuation import Attenuation
from ir_nav.registration.fluoro.axes import Axes, axes_through
from ir_nav.registration.fluoro.field import field_middle
from ir_nav.registration.fluoro.local import Fit, refine
from ir_nav.registration.fluoro.outcome import FluoroRegistration, stated
from ir_nav.registration.fluoro.prepared import prepare_levels
from ir_nav.registration.fluoro.view import FluoroFrame

FOLLOWED_MM, FOLLOWED_DEG = 20.0, 10.0
FOLLOWED_PART = 0.9
# What the last move leaves over is far smaller than the move: time counts here.
REST = 0.15


def follow(
    last: FluoroRegistration,
    frames: Sequence[FluoroFrame],
    attenuations: Sequence[Attenuation],
    *,
    created_s: float,
    breathing: str = "",
) -> FluoroRegistration:
    """Register new frames from the last accepted pose: for small motion, without a search.

    Refused when the similarity falls below 0.9 of the last, or when the pose moves further than
    a breath would. Raises RegistrationError when the last was not accepted.
    """
    if not last.registration.accepted:
        raise RegistrationError("the last registration was refused: register anew, do not follow")
    began = time.perf_counter()
    levels = prepare_levels(frames, attenuations[1:])
    start = last.world_from_ct
    middle = field_middle(frames, levels[0].attenuation, start)
    axes = axes_through(frames[0].view.carm_from_world, middle)
    coarse = refine(levels[0], axes, start, 4, central=False)
    final = refine(levels[-1], axes, coarse.world_from_ct, 4, central=True, rest=REST)
    result = stated(
        final,
        frames,
        axes,
        last.registration.about_ct_mm,
        created_s=created_s,
        breathing=breathing,
        runner_up=None,
        evaluations=coarse.evaluations + final.evaluations,
        seconds=time.perf_counter() - began,
    )
    reason = _lost(last, final, axes)
    if reason is None or not result.registration.accepted:
        return result
    return replace(result, registration=result.registration.refused(reason))


def _lost(last: FluoroRegistration, final: Fit, axes: Axes) -> str | None:
    """Why a followed pose is not believed, or None."""
    before = float(np.mean(last.similarities))
    if final.similarity < FOLLOWED_PART * before:
        return (
            f"the frame agrees with the CT to {final.similarity:.2f}, the last one to "
            f"{before:.2f}: the patient moved too far or breathes, register anew"
        )
    middle_ct = apply(rigid_inverse(last.world_from_ct), axes.centre_world_mm)
    moved = float(np.linalg.norm(apply(final.world_from_ct, middle_ct) - axes.centre_world_mm))
    turned = rotation_between_deg(last.world_from_ct, final.world_from_ct)
    if moved > FOLLOWED_MM or turned > FOLLOWED_DEG:
        return f"it would have moved by {moved:.0f} mm and {turned:.0f} deg: register anew"
    return None

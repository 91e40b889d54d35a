"""What the room adds to the error of a fluoro registration: the breath and the tracker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ir_nav.geometry import FloatArray, rigid_inverse
from ir_nav.registration.fluoro.outcome import DEPTH_WANTED_MM, NORMAL_95, FluoroRegistration
from ir_nav.session.error_budget import DEEP_OVER_SKIN
from ir_nav.session.fluoro_views import TakenView


def with_room_error(found: FluoroRegistration, views: tuple[TakenView, ...]) -> FluoroRegistration:
    """The same with the error that the frames themselves cannot show, added to its covariance.

    Deep organs go further with the breath than the reference on the skin: a frame taken away
    from end-expiration shows them elsewhere. The tracker's noise moves the views' world.
    """
    ct_from_reference = found.registration.ct_from_reference.matrix
    added = room_covariance_mm2(views, ct_from_reference[:3, :3])
    covariance = np.array(found.registration.covariance)
    covariance[:3, :3] += added
    about = found.registration.about_ct_mm
    carm_from_ct = views[0].frame.view.carm_from_world @ found.world_from_ct
    ray = about - rigid_inverse(carm_from_ct)[:3, 3]
    ray = ray / np.linalg.norm(ray)
    depth = float(np.hypot(found.depth_95_mm, NORMAL_95 * np.sqrt(ray @ added @ ray)))
    registration = replace(found.registration, covariance=covariance)
    return replace(
        found,
        registration=registration,
        depth_95_mm=depth,
        second_view_wanted=depth > DEPTH_WANTED_MM,
    )


def room_covariance_mm2(views: tuple[TakenView, ...], ct_from_reference: FloatArray) -> FloatArray:
    """(3, 3) in CT axes. The breath is alike in all views; the tracker's noise averages out."""
    breath = np.mean(
        [np.outer(one.breath_reference_mm, one.breath_reference_mm) for one in views], 0
    )
    breath = (DEEP_OVER_SKIN - 1.0) ** 2 * ct_from_reference @ breath @ ct_from_reference.T
    noise_mm2 = float(np.mean([one.scatter_mm**2 for one in views])) / len(views)
    return np.asarray(breath + noise_mm2 / 3.0 * np.eye(3))

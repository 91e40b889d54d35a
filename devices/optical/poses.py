"""Pose of a marker body from its corners in one image, how sure it is, and when it is refused.

A flat marker has two poses that look nearly alike: its own and the one tilted the other way about
the line of sight (Schweighofer and Pinz 2006; Collins and Bartoli 2014, IPPE). Both are refined;
unless the image clearly prefers one, there is no pose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from devices.optical.bodies import Body
from devices.optical.intrinsics import Intrinsics

Floats = NDArray[np.float64]

MIN_CORNER_SD_PX = 0.05  # print, lens model and light are never better than this
_PRIOR_WEIGHT = 4.0  # degrees of freedom that the expected noise counts as
_FLAT = 0.02  # thickness by width of the corners, below which a body counts as planar
_SAME_DEG = 0.5
_REFINE = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 40, 1e-9)


class PoseRefusedError(Exception):
    """There is no trustworthy pose; the message is the reason."""


@dataclass(frozen=True, slots=True)
class PoseGates:
    """rms_px: a larger reprojection error means another body, or a bent one. rotation_sd_deg:
    largest standard deviation about any axis. ambiguity: how much larger the squared residuals of
    the other pose must be, in units of the noise; at 16 the wrong pose passes 3 times in 100,000.
    """

    rms_px: float = 1.5
    rotation_sd_deg: float = 3.0
    ambiguity: float = 16.0


@dataclass(frozen=True, slots=True, eq=False)
class BodyPose:
    """camera_from_body: (4, 4) mm, read-only; camera axes as OpenCV's: x right, y down, z away.

    covariance: (6, 6) of a small rotation about camera axes through the body's origin (rad), then
    the origin's position (mm). It is what noise of the corners does; errors common to all frames
    (the print, the lens model) are in it only as far as `corner_sd_px` accounts for them. rms_px:
    reprojection error per corner. markers: ids that were used.
    """

    camera_from_body: Floats
    covariance: Floats
    rms_px: float
    corner_sd_px: float
    markers: tuple[int, ...]

    def point_covariance_mm2(self, point_mm: Floats) -> Floats:
        """(3, 3) of a body point (3,), such as a needle's tip, along camera axes."""
        jacobian = _motion(point_mm[None] @ self.camera_from_body[:3, :3].T)[0]
        return np.asarray(jacobian @ self.covariance @ jacobian.T)

    @property
    def rotation_sd_deg(self) -> float:
        """About the least certain axis."""
        return float(np.degrees(np.sqrt(np.linalg.eigvalsh(self.covariance[:3, :3])[-1])))


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    rotation: Floats
    translation: Floats
    cost_px2: float


def estimate_pose(
    body: Body,
    seen_px: Mapping[int, Floats],
    intrinsics: Intrinsics,
    *,
    corner_sd_px: float | None = None,
    gates: PoseGates | None = None,
) -> BodyPose:
    """Pose of a body from its visible markers.

    seen_px: corners (4, 2) in undistorted pixels by marker id; other bodies' are ignored, at least
    one must be the body's. corner_sd_px: expected noise of one corner coordinate; by default what
    the camera's calibration found, at least 0.05 px. Raises PoseRefusedError.
    """
    gates = gates or PoseGates()
    prior_px = max(corner_sd_px or intrinsics.corner_sd_px, MIN_CORNER_SD_PX)
    markers = tuple(sorted(body.corners_mm.keys() & seen_px.keys()))
    points = np.concatenate([body.corners_mm[marker] for marker in markers])
    pixels = np.concatenate([seen_px[marker] for marker in markers])
    fits = _fits(points, pixels, intrinsics)
    if not fits:
        raise PoseRefusedError("no pose explains the markers")
    best, *others = fits
    rms_px = float(np.sqrt(best.cost_px2 / len(points)))
    if rms_px > gates.rms_px:
        raise PoseRefusedError("markers do not fit the body")
    freedom = 2 * len(points) - 6
    residual_px2 = best.cost_px2 / freedom
    for other in others:
        if _angle_deg(best.rotation, other.rotation) < _SAME_DEG:
            continue
        if other.cost_px2 - best.cost_px2 < gates.ambiguity * max(prior_px**2, residual_px2):
            raise PoseRefusedError("two poses look alike")
    weight = _PRIOR_WEIGHT + freedom
    noise_px2 = (_PRIOR_WEIGHT * prior_px**2 + best.cost_px2) / weight
    pose = BodyPose(
        _matrix(best),
        _covariance(best, points, intrinsics, noise_px2),
        rms_px,
        float(np.sqrt(noise_px2)),
        markers,
    )
    if not pose.rotation_sd_deg <= gates.rotation_sd_deg:
        raise PoseRefusedError("orientation too uncertain")
    return pose


def _fits(points: Floats, pixels: Floats, intrinsics: Intrinsics) -> list[_Fit]:
    """Local minima of the reprojection error, best first."""
    centred = points - points.mean(axis=0)
    thickness = np.linalg.svd(centred, compute_uv=False)
    flat = thickness[2] < _FLAT * thickness[1]
    method = cv2.SOLVEPNP_IPPE if flat else cv2.SOLVEPNP_SQPNP
    try:
        _, turns, shifts, _ = cv2.solvePnPGeneric(
            points, pixels, intrinsics.matrix, None, flags=method
        )
    except cv2.error:
        return []
    starts = [(turn, shift) for turn, shift in zip(turns, shifts, strict=True)]
    # A thick body has its twin too, only less alike; starting there finds it if it exists.
    starts += [_twin(turn, shift, points) for turn, shift in starts[:1]]
    fits = [fit for start in starts if (fit := _refined(start, points, pixels, intrinsics))]
    return sorted(fits, key=lambda fit: fit.cost_px2)


def _twin(turn: Floats, shift: Floats, points: Floats) -> tuple[Floats, Floats]:
    """The pose tilted the other way about the line of sight, the middle of the body in place."""
    rotation = cv2.Rodrigues(turn)[0]
    middle = points.mean(axis=0)
    sight = rotation @ middle + shift.ravel()
    normal = rotation @ np.linalg.svd(points - middle)[2][2]
    axis = np.cross(normal, sight / np.linalg.norm(sight))
    size = float(np.linalg.norm(axis))
    if size > 1e-9:
        tilt = float(np.arctan2(size, normal @ sight / np.linalg.norm(sight)))
        # From the normal to the line of sight and as far beyond; a normal has no sign.
        tilt = tilt if tilt < np.pi / 2 else tilt - np.pi
        rotation = cv2.Rodrigues(axis / size * 2.0 * tilt)[0] @ rotation
    return cv2.Rodrigues(rotation)[0], (sight - rotation @ middle).reshape(3, 1)


def _refined(
    start: tuple[Floats, Floats], points: Floats, pixels: Floats, intrinsics: Intrinsics
) -> _Fit | None:
    try:
        turn, shift = cv2.solvePnPRefineLM(
            points, pixels, intrinsics.matrix, None, start[0].copy(), start[1].copy(), _REFINE
        )
    except cv2.error:
        return None
    rotation, translation = cv2.Rodrigues(turn)[0], shift.ravel()
    seen = points @ rotation.T + translation
    if not np.isfinite(seen).all() or seen[:, 2].min() <= 0.0:
        return None
    expected = seen[:, :2] / seen[:, 2:] * intrinsics.focal_px + intrinsics.principal_px
    return _Fit(rotation, translation, float(((expected - pixels) ** 2).sum()))


def _covariance(fit: _Fit, points: Floats, intrinsics: Intrinsics, noise_px2: float) -> Floats:
    """(6, 6) by the Jacobian of the projection at the solution."""
    turned = points @ fit.rotation.T
    x, y, z = (turned + fit.translation).T
    fx, fy = intrinsics.focal_px
    projection = np.zeros((len(points), 2, 3))
    projection[:, 0, 0], projection[:, 1, 1] = fx / z, fy / z
    projection[:, 0, 2], projection[:, 1, 2] = -fx * x / z**2, -fy * y / z**2
    jacobian = (projection @ _motion(turned)).reshape(-1, 6)
    scale = np.linalg.norm(jacobian, axis=0)
    try:
        inverse = np.linalg.inv((jacobian / scale).T @ (jacobian / scale))
    except np.linalg.LinAlgError:
        raise PoseRefusedError("orientation too uncertain") from None
    covariance = np.asarray(noise_px2 * inverse / np.outer(scale, scale))
    covariance.flags.writeable = False
    return covariance


def _motion(turned: Floats) -> Floats:
    """(n, 3, 6): how points (n, 3), along camera axes from the origin, move with the six."""
    motion = np.zeros((len(turned), 3, 6))
    x, y, z = turned.T
    motion[:, 0, 1], motion[:, 0, 2] = z, -y
    motion[:, 1, 0], motion[:, 1, 2] = -z, x
    motion[:, 2, 0], motion[:, 2, 1] = y, -x
    motion[:, :, 3:] = np.eye(3)
    return motion


def _matrix(fit: _Fit) -> Floats:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = fit.rotation, fit.translation
    matrix.flags.writeable = False
    return matrix


def _angle_deg(one: Floats, other: Floats) -> float:
    sine = float(np.linalg.norm(one - other)) / (2.0 * np.sqrt(2.0))
    return float(np.degrees(2.0 * np.arcsin(min(1.0, sine))))

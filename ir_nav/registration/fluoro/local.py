"""Local refinement: least squares on normalised gradients, from what a small motion changes.

With gradient fields of unit length, |frame - rendered|^2 = 2 - 2 similarity, so that
Levenberg-Marquardt on the difference climbs the similarity itself. The derivative is taken by
drawing small motions. One view's errors scatter over few structures, which is why the
covariance is the cluster-robust one (Liang and Zeger 1986; White 1982): residuals are
independent between blocks, never between pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray
from ir_nav.registration.fluoro.axes import Axes
from ir_nav.registration.fluoro.derivative import linearised, renderings, steps_of
from ir_nav.registration.fluoro.prepared import FLOOR, Image, Level, LevelView
from ir_nav.registration.fluoro.projector import project_poses
from ir_nav.registration.fluoro.similarity_kernels import similarity
from ir_nav.threads import in_ranges

# No iteration moves further: mm, mm along the ray, deg.
LONGEST = np.array([12.0, 12.0, 40.0, 10.0, 10.0, 10.0])
# Part of the derivative's step.
SETTLED = 0.05
# A last move up to this part of it is near enough to the optimum to be believed.
NEARLY_SETTLED = 0.3
DAMPING = 1e-2


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """covariance: (6, 6) of the motion parameters, before any calibration. similarities: one a
    view. evaluations: renderings of every view. settled: whether it came to rest.
    """

    world_from_ct: FloatArray
    similarities: tuple[float, ...]
    covariance: FloatArray
    evaluations: int
    settled: bool

    @property
    def similarity(self) -> float:
        return float(np.mean(self.similarities))


def similarities(level: Level, world_from_ct: FloatArray) -> FloatArray:
    """(n, views): each view's similarity at poses (n, 4, 4), -1 to 1."""
    found = np.empty((len(world_from_ct), len(level.views)))
    for number, view in enumerate(level.views):
        poses = view.carm_from_world @ world_from_ct
        drawn = project_poses(level.attenuation, view.geometry, poses)

        def work(
            part: tuple[int, int],
            view: LevelView = view,
            drawn: Image = drawn,
            into: FloatArray = found[:, number],
        ) -> None:
            for n in range(*part):
                into[n] = similarity(
                    drawn[n], view.weight, view.radius_px, FLOOR, view.across, view.down
                )

        in_ranges(len(drawn), work)
    return found


def refine(
    level: Level,
    axes: Axes,
    world_from_ct: FloatArray,
    iterations: int,
    *,
    central: bool,
    rest: float = SETTLED,
) -> Fit:
    """The nearest optimum of the similarity from a pose (4, 4) within its reach.

    central: differences to both sides, twice the work, for the finest level. rest: a move
    smaller than this part of the derivative's step ends the search. The last
    move is not rendered again; similarities are those before it.
    """
    steps = steps_of(level)
    frame = _frame_fields(level)
    best: _Linear | None = None
    pose, damping, count = world_from_ct, DAMPING, 0
    move = np.zeros(6)
    for _ in range(iterations):
        drawn, jacobian = linearised(level, axes, pose, central=central)
        count += renderings(central=central)
        base = frame - drawn
        if best is not None and float(base @ base) > best.cost:
            damping *= 10.0
        else:
            best = _Linear(pose, base, jacobian)
            damping = max(damping / 3.0, 1e-6)
        move = best.step(damping)
        pose = axes.moved(move[None], best.world_from_ct)[0]
        if np.all(np.abs(move) < rest * steps):
            break
    if best is None:
        raise ValueError("at least one iteration")
    # The last move was not tried: it is taken where the derivative still holds.
    if np.any(np.abs(move) > steps):
        pose = best.world_from_ct
    return Fit(
        pose,
        _by_view(level, best.residual),
        best.covariance(_blocks(level)),
        count,
        bool(np.all(np.abs(move) < NEARLY_SETTLED * steps)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Linear:
    """The residual (m,) at a pose and what each parameter changes of the drawn fields (6, m)."""

    world_from_ct: FloatArray
    residual: Image
    jacobian: Image

    @property
    def cost(self) -> float:
        return float(self.residual @ self.residual)

    @property
    def curvature(self) -> FloatArray:
        return np.asarray(self.jacobian @ self.jacobian.T, dtype=np.float64)

    def step(self, damping: float) -> FloatArray:
        """(6,) Levenberg-Marquardt, no longer than LONGEST."""
        curvature = self.curvature
        scale = np.diag(np.diag(curvature) + 1e-12)
        slope = np.asarray(self.jacobian @ self.residual, dtype=np.float64)
        move = np.linalg.solve(curvature + damping * scale, slope)
        return np.asarray(move / max(1.0, float(np.max(np.abs(move) / LONGEST))))

    def covariance(self, blocks: NDArray[np.int64]) -> FloatArray:
        """(6, 6), residuals summed over the block (m,) they lie in."""
        count = int(blocks.max()) + 1
        votes = np.stack(
            [np.bincount(blocks, row * self.residual, minlength=count) for row in self.jacobian]
        )
        curvature = self.curvature
        inverse = np.linalg.pinv(curvature + 1e-9 * np.diag(np.diag(curvature)))
        filled = max(int(np.count_nonzero(votes[0])), 8)
        return np.asarray(inverse @ (votes @ votes.T) @ inverse * (filled / (filled - 6.0)))


def _frame_fields(level: Level) -> Image:
    """(m,) as _unit_fields, of the frames themselves."""
    parts = []
    for view in level.views:
        where = view.voting
        both = np.concatenate([view.across.reshape(-1)[where], view.down.reshape(-1)[where]])
        parts.append(both / max(float(np.linalg.norm(both)), 1e-12))
    return np.asarray(np.concatenate(parts) / np.sqrt(len(parts)), dtype=np.float32)


def _by_view(level: Level, residual: Image) -> tuple[float, ...]:
    """Similarity of each view: 1 - |r|^2 / 2 of its unit fields."""
    ends = np.cumsum([2 * len(view.voting) for view in level.views])
    parts = np.split(residual, ends[:-1])
    return tuple(1.0 - len(parts) * float(part @ part) / 2.0 for part in parts)


def _blocks(level: Level) -> NDArray[np.int64]:
    """(m,) the block of every field value; both components of a pixel share theirs."""
    parts, first = [], 0
    for view in level.views:
        rows, columns = np.divmod(view.voting, view.weight.shape[1])
        wide = -(-view.weight.shape[1] // view.block_px)
        tall = -(-view.weight.shape[0] // view.block_px)
        block = first + rows // view.block_px * wide + columns // view.block_px
        parts.append(np.concatenate([block, block]))
        first += wide * tall
    return np.concatenate(parts)

"""Which touched point is which marker of the CT, when they were touched in any order.

Distances between points are the same in both frames. Triples of touched points are held against
triples of markers with nearly the same three distances; each such pair of triples proposes a
pose, and the pose that brings most touched points onto a marker of their own wins. The triples
are those of Chen, Hung and Cheng 1999 (RANSAC-based DARCES, IEEE PAMI 21), here all of them
instead of a random few, as points are few.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from ir_nav.geometry import FloatArray, GeometryError, apply, fit_points, read_only
from ir_nav.registration.errors import RegistrationError

TOLERANCE_MM = 6.0
MOST_POINTS = 40
MOST_TRIPLES = 60
# A triangle flatter than this turns freely about its long side.
LEAST_HEIGHT_MM = 15.0
LEAST_MATCHED = 4
# Another way to match that leaves no more than so many times the best one's misfit could as
# well be the true one; below the floor a misfit says nothing.
RIVAL_RATIO = 3.0
RIVAL_FLOOR_MM = 0.5
# Its own marker is nearer to a point than any other by so many times the misfit.
NEARER_RATIO = 2.0

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """pairs: (number of the touched point, number of the marker), in the order of touching.
    rms_mm: what the fit of the pairs leaves. ct_from_reference: (4, 4) of that fit."""

    pairs: Pairs
    rms_mm: float
    ct_from_reference: FloatArray

    @property
    def count(self) -> int:
        return len(self.pairs)


def match_points(
    points_reference_mm: ArrayLike,
    markers_ct_mm: ArrayLike,
    tolerance_mm: float = TOLERANCE_MM,
    names: tuple[str, ...] | None = None,
) -> Matching:
    """Match touched points (n, 3) in `reference` to markers (m, 3) of the CT, both unordered.

    Points that were touched elsewhere, or between two markers, and markers that were not touched
    stay unmatched. names: of the markers, for what is said. RegistrationError when fewer than
    four points (three where there are only three of both) or no more than half of them find a
    marker, or when the layout admits another match that fits about as well: it names the markers
    that could be exchanged.
    """
    touched = _points(points_reference_mm, "touched points")
    markers = _points(markers_ct_mm, "markers in the CT")
    called = names or tuple(str(number + 1) for number in range(len(markers)))
    found = _all_matchings(touched, markers, tolerance_mm)
    least = max(LEAST_MATCHED, len(touched) // 2 + 1)
    if len(touched) == len(markers) == 3:
        least = 3
    if not found or found[0].count < least:
        most = found[0].count if found else 0
        raise RegistrationError(
            f"only {most} of {len(touched)} touched points find a marker within "
            f"{tolerance_mm:g} mm, {least} are needed: touch more of the CT's markers, or touch "
            "them by name"
        )
    sure = _sure(found[0], touched, markers)
    rival = _rival(sure, found[0].count, found[1:])
    if rival is not None:
        raise RegistrationError(_ambiguous_words(sure, rival, called))
    if sure.count < least:
        raise RegistrationError(
            "several markers lie so near one another that it cannot be told which was touched: "
            "touch them by name"
        )
    return sure


def _points(points: ArrayLike, what: str) -> FloatArray:
    array = read_only(points)
    if array.ndim != 2 or array.shape[1] != 3 or not np.isfinite(array).all():
        raise RegistrationError(f"the {what} need three finite numbers each")
    if not 3 <= len(array) <= MOST_POINTS:
        raise RegistrationError(f"{len(array)} {what}: matching takes 3 to {MOST_POINTS}")
    return array


def _all_matchings(touched: FloatArray, markers: FloatArray, tolerance_mm: float) -> list[Matching]:
    """Every different match some triple leads to: most pairs first, then the least misfit."""
    found: dict[Pairs, Matching] = {}
    tried: set[Pairs] = set()
    for triple in _triples(touched):
        for others in _like_triples(touched[list(triple)], markers, tolerance_mm):
            seed = tuple(zip(triple, others, strict=True))
            if seed in tried:
                continue
            tried.add(seed)
            matching = _grown(seed, touched, markers, tolerance_mm)
            if matching is None:
                continue
            # Every triple within a match leads to the same match again.
            if len(matching.pairs) <= MOST_TRIPLES:
                tried.update(combinations(matching.pairs, 3))
            found.setdefault(matching.pairs, matching)
    return sorted(found.values(), key=lambda one: (-one.count, one.rms_mm))


def _triples(points: FloatArray) -> list[tuple[int, int, int]]:
    """Triangles of the points, none of them flat; the larger half of them, where they are many
    evenly chosen: a point that was touched far away must not be in all that are looked at."""
    triples = np.array(list(combinations(range(len(points)), 3)))
    a, b, c = (points[triples[:, side]] for side in range(3))
    doubled = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    longest = np.max([np.linalg.norm(p - q, axis=1) for p, q in ((a, b), (b, c), (a, c))], axis=0)
    tall = doubled >= LEAST_HEIGHT_MM * longest
    order = np.argsort(-doubled[tall])
    if len(order) > MOST_TRIPLES:
        larger = order[: max(MOST_TRIPLES, len(order) // 2)]
        order = larger[np.linspace(0, len(larger) - 1, MOST_TRIPLES).astype(int)]
    return [(int(i), int(j), int(k)) for i, j, k in triples[tall][order]]


def _like_triples(
    triangle: FloatArray, markers: FloatArray, tolerance_mm: float
) -> list[tuple[int, int, int]]:
    """Ordered triples of markers whose three distances are those of a triangle (3, 3)."""
    apart = np.linalg.norm(markers[:, None] - markers[None], axis=2)
    ab, bc, ca = (
        float(np.linalg.norm(triangle[i] - triangle[j])) for i, j in ((0, 1), (1, 2), (2, 0))
    )
    # Both ends of a distance are off by as much as a point may be.
    near = 2.0 * tolerance_mm
    like_ab, like_bc, like_ca = (np.abs(apart - side) < near for side in (ab, bc, ca))
    like = like_ab[:, :, None] & like_bc[None, :, :] & like_ca.T[:, None, :]
    i, j, k = np.nonzero(like)
    off = (apart[i, j] - ab) ** 2 + (apart[j, k] - bc) ** 2 + (apart[k, i] - ca) ** 2
    different = (i != j) & (j != k) & (i != k)
    order = np.argsort(off[different])
    triples = np.stack([i, j, k], axis=1)[different][order]
    return [(int(a), int(b), int(c)) for a, b, c in triples]


def _grown(
    seed: Pairs, touched: FloatArray, markers: FloatArray, tolerance_mm: float
) -> Matching | None:
    """The match a triple of pairs leads to, or None where it does not hold together."""
    pairs = seed
    for _ in range(4):
        try:
            matrix = _fitted(pairs, touched, markers)
        except GeometryError:
            return None
        # A small triangle points only roughly at what lies far from it.
        reach = 2.0 if pairs == seed else 1.0
        grown = _assigned(apply(matrix, touched), markers, reach * tolerance_mm)
        if len(grown) < 3 or grown == pairs:
            break
        pairs = grown
    try:
        matrix = _fitted(pairs, touched, markers)
    except GeometryError:
        return None
    pairs = _assigned(apply(matrix, touched), markers, tolerance_mm)
    if len(pairs) < 3:
        return None
    at, on = (list(numbers) for numbers in zip(*pairs, strict=True))
    off = apply(matrix, touched[at]) - markers[on]
    return Matching(pairs, float(np.sqrt(np.mean(np.sum(off**2, axis=1)))), read_only(matrix))


def _fitted(pairs: Pairs, touched: FloatArray, markers: FloatArray) -> FloatArray:
    at, on = (list(numbers) for numbers in zip(*pairs, strict=True))
    return fit_points(touched[at], markers[on]).matrix


def _assigned(mapped: FloatArray, markers: FloatArray, within_mm: float) -> Pairs:
    """Each mapped point with a marker of its own, as many as lie near enough."""
    apart = np.linalg.norm(mapped[:, None] - markers[None], axis=2)
    # What is out of reach costs as much as staying alone: it never takes a neighbour's marker.
    rows, columns = linear_sum_assignment(np.minimum(apart, within_mm) ** 2)
    near = apart[rows, columns] < within_mm
    return tuple(
        (int(row), int(column)) for row, column in zip(rows[near], columns[near], strict=True)
    )


def _sure(best: Matching, touched: FloatArray, markers: FloatArray) -> Matching:
    """Without the points that another marker suits nearly as well as their own."""
    mapped = apply(best.ct_from_reference, touched)
    apart = np.linalg.norm(mapped[:, None] - markers[None], axis=2)
    clearly_mm = NEARER_RATIO * max(best.rms_mm, RIVAL_FLOOR_MM)
    kept = tuple(
        (point, marker)
        for point, marker in best.pairs
        if np.delete(apart[point], marker).min() > apart[point, marker] + clearly_mm
    )
    return replace(best, pairs=kept)


def _rival(sure: Matching, count: int, others: list[Matching]) -> Matching | None:
    """Another match of as many points that fits about as well and says otherwise."""
    allowed_mm = RIVAL_RATIO * max(sure.rms_mm, RIVAL_FLOOR_MM)
    for other in others:
        there = dict(other.pairs)
        differs = any(there.get(point, marker) != marker for point, marker in sure.pairs)
        if other.count == count and other.rms_mm <= allowed_mm and differs:
            return other
    return None


def _ambiguous_words(best: Matching, rival: Matching, names: tuple[str, ...]) -> str:
    there = dict(rival.pairs)
    exchanged = [
        f"{names[marker]} for {names[there[point]]}" if point in there else names[marker]
        for point, marker in best.pairs
        if there.get(point) != marker
    ]
    return (
        "the layout of the markers is too symmetric to tell which is which: "
        f"{', '.join(exchanged)} would fit as well ({best.rms_mm:.1f} and {rival.rms_mm:.1f} mm). "
        "Touch one more marker off the symmetry, or touch them by name"
    )

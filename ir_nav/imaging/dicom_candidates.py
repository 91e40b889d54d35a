"""The images of one series divided into stacks that could each be a volume."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from ir_nav.imaging.dicom_header import SliceHeader

# So few images that lie another way than the rest are localizers.
FEW = 3

# A localizer's header says so, or it is among a whole stack.
POSITION_DIGITS = 2
COSINE_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """Images that may be one volume. name: what tells it from the series' others, e.g.
    'echo time 4.6'; '' when it is alone. notes: what was left out, in words."""

    headers: tuple[SliceHeader, ...]
    name: str = ""
    notes: tuple[str, ...] = ()


def candidates(headers: Sequence[SliceHeader]) -> tuple[Candidate, ...]:
    """Stacks of one series: localizers and second copies left out, phases and echoes apart.

    At least one comes back, whatever the images are.
    """
    once, notes = _without_copies(headers)
    images = [header for header in once if not header.is_localizer]
    localizers = len(once) - len(images)
    if not images:
        return (Candidate(tuple(once), "localizer", tuple(notes)),)
    if localizers:
        notes.append(f"{localizers} localizer image(s) are left out")
    groups = list(_split(images, _grid_key).values())
    largest = max(groups, key=len)
    strays = [group for group in groups if group is not largest and len(group) <= FEW]
    if len(largest) > 2 * FEW and strays:
        count = sum(map(len, strays))
        notes.append(f"{count} image(s) with other directions or another size are left out")
        groups = [group for group in groups if not any(group is stray for stray in strays)]
    found = [part for group in groups for part in _phases(group)]
    if len(found) > 1:
        found = [part if part.name else replace(part, name=_seen(part)) for part in found]
    return tuple(replace(part, notes=tuple(notes)) for part in found)


def _without_copies(headers: Sequence[SliceHeader]) -> tuple[list[SliceHeader], list[str]]:
    """Each image once: a file copied twice is the same image (same SOP Instance UID)."""
    seen: dict[tuple[str, int], SliceHeader] = {}
    unnamed = []
    for header in headers:
        if header.sop_uid:
            seen.setdefault((header.sop_uid, header.frame), header)
        else:
            unnamed.append(header)
    once = [*seen.values(), *unnamed]
    copies = len(headers) - len(once)
    return once, [f"{copies} image(s) are there twice and are used once"] if copies else []


def _grid_key(header: SliceHeader) -> Hashable:
    """Equal for images that could lie in one stack."""
    cosines = header.place.orientation
    rounded = None if cosines is None else tuple(np.round(cosines, COSINE_DIGITS) + 0.0)
    return header.rows, header.columns, rounded


def _place_key(header: SliceHeader) -> Hashable:
    position = header.place.position_mm
    return None if position is None else tuple(np.round(position, POSITION_DIGITS) + 0.0)


def _has_doubles(headers: Sequence[SliceHeader]) -> bool:
    places = {_place_key(header) for header in headers}
    return None not in places and len(places) < len(headers)


def _phases(headers: Sequence[SliceHeader]) -> list[Candidate]:
    """Images at the same places told apart by the fewest marks that suffice."""
    if not _has_doubles(headers):
        return [Candidate(tuple(headers))]
    labels = list(dict.fromkeys(label for header in headers for label, _ in header.place.marks))
    for count in (1, 2):
        for chosen in combinations(labels, count):
            parts = _split(headers, lambda header, chosen=chosen: _values(header, chosen))  # type: ignore[misc]
            if len(parts) > 1 and not any(map(_has_doubles, parts.values())):
                return [Candidate(tuple(part), _named(chosen, part[0])) for part in parts.values()]
    return [Candidate(tuple(headers))]


def _values(header: SliceHeader, labels: Iterable[str]) -> tuple[str, ...]:
    marks = dict(header.place.marks)
    return tuple(marks.get(label, "") for label in labels)


def _named(labels: Sequence[str], header: SliceHeader) -> str:
    values = _values(header, labels)
    return ", ".join(f"{label} {value}" for label, value in zip(labels, values, strict=True))


def _seen(part: Candidate) -> str:
    """What a stack of another direction is called."""
    cosines = part.headers[0].place.orientation
    if cosines is None:
        return "without orientation"
    normal = np.abs(np.cross(cosines[:3], cosines[3:]))
    return ("sagittal", "coronal", "axial")[int(np.argmax(normal))]


def _split(
    headers: Iterable[SliceHeader], key: Callable[[SliceHeader], Hashable]
) -> dict[Hashable, list[SliceHeader]]:
    groups: dict[Hashable, list[SliceHeader]] = {}
    for header in headers:
        groups.setdefault(key(header), []).append(header)
    return groups

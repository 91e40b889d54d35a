"""Changes of a segmentation that can be taken back: each keeps only what it changed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np

from ir_nav.imaging.errors import ImagingError
from ir_nav.imaging.segmentation.segments import (
    Corner,
    Segment,
    Segmentation,
    bounding_box,
    trimmed,
    widened,
    within,
)

# Strokes are small; automatic structures are kept by reference, not copied.
LONGEST = 200


@dataclass(frozen=True, slots=True, eq=False)
class Swap:
    """A segment that came, went or was renamed: at a place of the list, before and after."""

    place: int
    before: Segment | None
    after: Segment | None


@dataclass(frozen=True, slots=True, eq=False)
class Flip:
    """Voxels of one segment that changed. bits: zlib over packed bits of the changed box."""

    number: int
    corner_kji: Corner
    shape_kji: tuple[int, int, int]
    bits: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One thing the user did, in words, and what it changed."""

    words: str
    changes: tuple[Swap | Flip, ...]


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """A segmentation, the steps that led to it, and those taken back."""

    now: Segmentation
    past: tuple[Step, ...] = ()
    future: tuple[Step, ...] = ()

    def put(self, words: str, *segments: Segment) -> History:
        """Add segments, or put them in the place of those of the same number."""
        changes: list[Swap | Flip] = []
        now = self.now
        for segment in segments:
            known = now.numbered(segment.number)
            change = _change(now, known, segment)
            if change is not None:
                changes.append(change)
                now = _applied(now, change, forward=True)
        if not changes:
            return self
        return self._stepped(now, Step(words, tuple(changes)))

    def remove(self, words: str, number: int) -> History:
        """Without a segment; ImagingError when there is none of this number."""
        known = self.now.numbered(number)
        if known is None:
            raise ImagingError("that structure is not in the list any more")
        change = Swap(self.now.segments.index(known), known, None)
        return self._stepped(_applied(self.now, change, forward=True), Step(words, (change,)))

    def undo(self) -> History:
        """One step back; ImagingError when there is none."""
        if not self.past:
            raise ImagingError("nothing to undo in the structures")
        step, now = self.past[-1], self.now
        for change in reversed(step.changes):
            now = _applied(now, change, forward=False)
        return History(now, self.past[:-1], (step, *self.future))

    def redo(self) -> History:
        """One step forward again; ImagingError when there is none."""
        if not self.future:
            raise ImagingError("nothing to redo in the structures")
        step, now = self.future[0], self.now
        for change in step.changes:
            now = _applied(now, change, forward=True)
        return History(now, (*self.past, step), self.future[1:])

    def _stepped(self, now: Segmentation, step: Step) -> History:
        return History(now, (*self.past, step)[-LONGEST:])


def _change(now: Segmentation, known: Segment | None, segment: Segment) -> Swap | Flip | None:
    if known is None:
        return Swap(len(now.segments), None, segment)
    same = (known.name, known.colour, known.origin) == (
        segment.name,
        segment.colour,
        segment.origin,
    )
    if not same:
        return Swap(now.segments.index(known), known, segment)
    return _flip(known, segment)


def _flip(before: Segment, after: Segment) -> Flip | None:
    corner, changed = widened(before.structure, after.structure.box)
    changed[within(after.structure.box, corner)] ^= after.structure.part
    if bounding_box(changed) is None:
        return None
    corner, changed = trimmed(corner, changed)
    k, j, i = changed.shape
    return Flip(before.number, corner, (k, j, i), zlib.compress(np.packbits(changed).tobytes(), 1))


def _applied(now: Segmentation, change: Swap | Flip, *, forward: bool) -> Segmentation:
    segments = list(now.segments)
    if isinstance(change, Swap):
        old, new = (change.before, change.after) if forward else (change.after, change.before)
        keep = [] if new is None else [new]
        segments[change.place : change.place + (0 if old is None else 1)] = keep
        return replace(now, segments=tuple(segments))
    known = now.numbered(change.number)
    assert known is not None
    segments[segments.index(known)] = _flipped(known, change)
    return replace(now, segments=tuple(segments))


def _flipped(segment: Segment, change: Flip) -> Segment:
    count = int(np.prod(change.shape_kji))
    packed = np.frombuffer(zlib.decompress(change.bits), np.uint8)
    bits = np.unpackbits(packed, count=count).astype(np.bool_).reshape(change.shape_kji)
    k, j, i = (
        slice(start, start + size)
        for start, size in zip(change.corner_kji, change.shape_kji, strict=True)
    )
    corner, part = widened(segment.structure, (k, j, i))
    part[within((k, j, i), corner)] ^= bits
    return segment.shaped(*trimmed(corner, part))

"""Where the slices of Plan look: axial, coronal and sagittal until there is a path, then along
and down it."""

from __future__ import annotations

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.gui.bullseye import view_basis
from ir_nav.gui.needle_planes import along_axes
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.imaging import LabelMap, StandardView
from ir_nav.planning import PlannedPath
from ir_nav.planning.protocol import Protocol, Role
from ir_nav.session.case import Case, PlanDraft

# Organs are found on every so many voxels: a middle need not be finer.
COARSE = 2


class PlanViews:
    """Turns and names the three slices. While a point is dragged in one of them, that one and the
    planes along and down the path stay: one that turned under the pointer would run from it."""

    def __init__(self) -> None:
        self.axial = BrowsableSlice("CT axial", field_mm=320.0)
        self.along = BrowsableSlice("CT coronal", view=StandardView.CORONAL, field_mm=240.0)
        self.down = BrowsableSlice("CT sagittal", view=StandardView.SAGITTAL, field_mm=240.0)
        self.all = (self.axial, self.along, self.down)
        self._held: BrowsableSlice | None = None

    def hold(self, dragged_in: BrowsableSlice | None) -> None:
        """Keep the planes while a point is dragged in a view; None: let them follow again."""
        self._held = dragged_in

    def open_at(self, middle_ct_mm: FloatArray) -> None:
        """Look at a point (3,) in the three standard planes; there is no target yet."""
        self._name(None)
        self.axial.fit_body(middle_ct_mm)
        self._look_square(middle_ct_mm)

    def aim(self, draft: PlanDraft, moved: bool) -> None:
        """Look where the draft has its ends. moved: its target is another."""
        target, path = draft.target_ct_mm, draft.path
        if target is not None and moved and self._held is not self.axial:
            self.axial.fit_body(target)
        if self._held is not None:
            return
        self._name(path)
        if path is not None:
            self._look_along(path)
        else:
            self._look_square(self.along.centre_ct_mm if target is None else target)

    def _look_along(self, path: PlannedPath) -> None:
        middle = (path.target_ct_mm + path.entry_ct_mm) / 2.0
        self.along.look(middle, *along_axes(path.direction_ct))
        self.along.keep_inside()
        right, up = view_basis(path.direction_ct)
        self.down.look(path.target_ct_mm, right, -up)

    def _look_square(self, point_ct_mm: FloatArray) -> None:
        for view, standard in (
            (self.along, StandardView.CORONAL),
            (self.down, StandardView.SAGITTAL),
        ):
            view.look(point_ct_mm, standard.right_ct, standard.down_ct)
            view.keep_inside()

    def _name(self, path: PlannedPath | None) -> None:
        if path is None:
            self.along.set_title("CT coronal", "")
            self.down.set_title("CT sagittal", "")
        else:
            self.along.set_title("Along the path", "")
            self.down.set_title("Down the path", "at the target")


def opening_middle(
    case: Case, protocol: Protocol, body_ct_mm: tuple[FloatArray, FloatArray] | None
) -> FloatArray | None:
    """(3,) in `ct`, mm, where a case is looked at first: the middle of the protocol's organ, else
    of what it aims at, else of the body; None without a CT."""
    if case.volume is None:
        return None
    aimed = [rule.patterns for rule in protocol.structures if rule.role is Role.TARGET]
    for patterns in (protocol.organ, *aimed):
        found = None if case.labels is None else _largest_middle(case.labels, patterns)
        if found is not None:
            return found
    return case.volume.centre_ct_mm if body_ct_mm is None else np.mean(body_ct_mm, axis=0)


def _largest_middle(labels: LabelMap, patterns: tuple[str, ...]) -> FloatArray | None:
    """(3,) middle of the largest structure that a pattern names: of the two kidneys one."""
    numbers = [number for pattern in patterns for number in labels.ids_named(pattern)]
    if not numbers:
        return None
    coarse = labels.voxels[::COARSE, ::COARSE, ::COARSE]
    sizes = np.bincount(coarse.ravel(), minlength=max(numbers) + 1)[numbers]
    if not sizes.any():
        return None
    kji = np.argwhere(coarse == numbers[int(sizes.argmax())]).mean(axis=0) * COARSE
    matrix = labels.ct_from_voxel
    return np.asarray(matrix[:3, :3] @ kji[::-1] + matrix[:3, 3])

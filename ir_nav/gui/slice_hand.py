"""The CT moved by hand in its slices: they stay with the patient, the CT glides through them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PyQt6.QtCore import QPointF, Qt

from ir_nav.geometry import FloatArray, apply, rigid_inverse
from ir_nav.gui.hand_view import THROUGH, key_motion, turned_deg
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.gui.slice_tools import PlainTool, Pointer

Moved = Callable[[FloatArray, FloatArray, object], None]
Turned = Callable[[FloatArray, float, int, object], None]
STILL = 1e-9


class SliceHand(PlainTool):
    """Takes the left drag and the keys of slices; wheel, zoom and the right drag are as ever.

    moved(axes, shift_mm, gesture), turned(axes, angle_deg, axis, gesture): as HandView's signals,
    axes (3, 3) being the view's right, down and through it as columns, in the axes of the CT as it
    was registered. pivot(): (3,) of the CT.
    """

    name = "Move the CT"
    cursor = Qt.CursorShape.OpenHandCursor

    def __init__(
        self,
        views: Sequence[BrowsableSlice],
        moved: Moved,
        turned: Turned,
        pivot: Callable[[], FloatArray],
    ) -> None:
        self._views = tuple(views)
        self._moved, self._turned, self._pivot = moved, turned, pivot
        self._last: QPointF | None = None
        self._gesture: object = None
        # Where the slices have followed the CT to: patient_from_ct (4, 4).
        self._followed = np.eye(4)

    def follow(self, patient_from_ct: FloatArray) -> None:
        """Keep every slice where it is in the patient while the CT moves. (4, 4): from the CT as
        it was moved to the axes of the CT as it was registered."""
        if np.abs(patient_from_ct - self._followed).max() < STILL:
            return
        now_from_before = rigid_inverse(patient_from_ct) @ self._followed
        turn = now_from_before[:3, :3]
        for view in self._views:
            right, down, _ = view.axes_ct
            view.look(apply(now_from_before, view.centre_ct_mm), turn @ right, turn @ down)
        self._followed = np.array(patient_from_ct)

    def settle(self) -> None:
        """The CT stays where it was moved to: the slices are square to it again."""
        ct_from_square = self._followed[:3, :3]
        for view in self._views:
            right, down, _ = view.axes_ct
            view.look(view.centre_ct_mm, ct_from_square @ right, ct_from_square @ down)
        self._followed = np.eye(4)

    def press(self, pointer: Pointer) -> bool:
        if not pointer.left:
            return False
        self._last, self._gesture = pointer.at_px, object()
        return True

    def move(self, pointer: Pointer) -> bool:
        before = self._last
        if before is None or pointer.held != Qt.MouseButton.LeftButton:
            return False
        self._last, view = pointer.at_px, pointer.view
        axes = self._axes(view)
        if pointer.shift:
            seen = view.to_view(self._pivot())
            turn_deg = turned_deg(QPointF(seen[0], seen[1]), before, pointer.at_px)
            self._turned(axes, turn_deg, THROUGH, self._gesture)
        else:
            way = pointer.at_px - before
            shift_mm = np.array([way.x(), way.y(), 0.0]) * view.mm_per_px
            self._moved(axes, shift_mm, self._gesture)
        return True

    def release(self, pointer: Pointer) -> bool:
        held, self._last = self._last, None
        return held is not None

    def key(self, view: BrowsableSlice, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        asked = key_motion(key, modifiers)
        if asked is None:
            return False
        if isinstance(asked, tuple):
            self._turned(self._axes(view), *asked, object())
        else:
            self._moved(self._axes(view), asked, object())
        return True

    def leave(self) -> None:
        self._last = None

    def _axes(self, view: BrowsableSlice) -> FloatArray:
        return np.asarray(self._followed[:3, :3] @ np.column_stack(view.axes_ct))

"""Where the guiding slices look: along the needle, across its tip, axial at the tip."""

from __future__ import annotations

import numpy as np

from ir_nav.gui.bullseye import view_basis
from ir_nav.gui.slice_view import SliceView
from ir_nav.planning import PlannedPath
from ir_nav.planning.patient_words import along_axes
from ir_nav.session.state import TipState

__all__ = ["NeedlePlanes", "along_axes"]


class NeedlePlanes:
    """Points the three views; with the needle lost they stay on the plan."""

    def look(
        self,
        path: PlannedPath,
        tip: TipState | None,
        along: SliceView,
        across: SliceView,
        axial: SliceView,
    ) -> None:
        """Turn the views to the needle, or to the plan without one."""
        self._name(tip is not None, along, across, axial)
        direction = path.direction_ct if tip is None else tip.shaft_ct
        point = path.target_ct_mm if tip is None else tip.tip_ct_mm
        # The target stays where it is on the screen; only the cut follows the needle.
        ahead = float(np.dot(path.target_ct_mm - point, direction))
        along.look(point + direction * ahead, *along_axes(direction))
        right, up = view_basis(direction)
        across.look(point, right, -up)
        axial.fit_body(point)

    def _name(self, live: bool, along: SliceView, across: SliceView, axial: SliceView) -> None:
        """A view that follows the plan must not claim to follow the needle."""
        along.set_title(f"CT along the {'needle' if live else 'path'}", "in plane")
        across.set_title(f"CT across the {'tip' if live else 'target'}", "down the barrel")
        axial.set_title("CT axial", "at the tip" if live else "at the target")

"""Views along the planned path: the C-arm's angles that look down it and square across it."""

from __future__ import annotations

from PyQt6.QtWidgets import QComboBox

from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import Card, Facts, label
from ir_nav.planning import PlannedPath
from ir_nav.registration.fluoro.carm_angles import (
    CArmReach,
    PatientPosition,
    PlannedView,
    entry_view,
    progress_views,
)

NAMES = ("Entry", "Progress 1", "Progress 2")
LYING = {
    PatientPosition.HEAD_FIRST_SUPINE: "head first, on the back",
    PatientPosition.HEAD_FIRST_PRONE: "head first, on the belly",
    PatientPosition.HEAD_FIRST_LEFT_DOWN: "head first, on the left side",
    PatientPosition.HEAD_FIRST_RIGHT_DOWN: "head first, on the right side",
    PatientPosition.FEET_FIRST_SUPINE: "feet first, on the back",
    PatientPosition.FEET_FIRST_PRONE: "feet first, on the belly",
    PatientPosition.FEET_FIRST_LEFT_DOWN: "feet first, on the left side",
    PatientPosition.FEET_FIRST_RIGHT_DOWN: "feet first, on the right side",
}


class CArmViewsCard(Card):
    """Of the approved path; the angles are the patient's, what is in reach is the room's."""

    def __init__(self, desk: Desk) -> None:
        super().__init__("Views along the path")
        self._desk = desk
        self._reach = CArmReach()
        self._shown: tuple[PlannedPath, PatientPosition] | None = None
        self._lying = QComboBox()
        self._lying.setObjectName("patient_lies")
        self._lying.setAccessibleName("How the patient lies")
        self._lying.addItems(list(LYING.values()))
        self._facts = Facts(NAMES)
        self._note = label("", "quiet", name="carm_reach")
        self.add(self._lying, self._facts, self._note)

    def follow(self) -> None:
        """Draw the views of the plan at hand."""
        plan, position = self._desk.session.plan, list(LYING)[self._lying.currentIndex()]
        if plan is None:
            self._shown = None
            for name in NAMES:
                self._facts.show_fact(name, "")
            self._note.setText("Approve a path in Plan to see its views.")
            return
        if self._shown == (plan.path, position):
            return
        self._shown = (plan.path, position)
        ends = plan.path.entry_ct_mm, plan.path.target_ct_mm
        entry = entry_view(*ends, self._reach, position)
        across = progress_views(*ends, self._reach, position)
        for name, view in zip(NAMES, (entry, *across), strict=True):
            self._facts.show_fact(name, view_words(view), "" if view.reachable else "warn")
        self._note.setText(reach_words(self._reach))


def view_words(view: PlannedView) -> str:
    """'LAO 30° CRAN 5°', and how near the C-arm comes to it where it is out of reach."""
    if view.reachable:
        return f"✓ {view.wanted}"
    return f"✕ {view.wanted}: nearest {view.nearest}, {view.off_deg:.0f}° off"


def reach_words(reach: CArmReach) -> str:
    """What is taken to be in reach."""
    return (
        f"In reach: RAO {reach.rao_deg:g}° to LAO {reach.lao_deg:g}°, CAUD {reach.caudal_deg:g}° "
        f"to CRAN {reach.cranial_deg:g}° of a patient head first on his back."
    )

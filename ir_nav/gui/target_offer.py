"""A lesion that was just drawn becomes the target: at once while there is none, else when asked."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase

import numpy as np
from PyQt6.QtWidgets import QSizePolicy

from ir_nav.geometry import FloatArray, apply
from ir_nav.gui.case_look import AIMED_AT
from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import Card, button, label
from ir_nav.gui.notice import Mood
from ir_nav.gui.structure_desk import StructureDesk
from ir_nav.imaging.segmentation import Segment
from ir_nav.planning.protocol import Role
from ir_nav.session.structure_roles import given_role


class TargetOffer(Card):
    """Beneath the structures; out of sight until there is something to offer. aim: takes the
    structure's name and centre (3,) in `ct`, mm."""

    def __init__(
        self, desk: Desk, structures: StructureDesk, aim: Callable[[str, FloatArray], object]
    ) -> None:
        super().__init__()
        self._desk = desk
        self._structures = structures
        self._aim = aim
        self._offered: int | None = None
        self._words = label("", "note", name="offered_target")
        self.add_row(self._words, button("use_as_target", "Use as target", self._use, kind="small"))
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.hide()
        structures.added.connect(self._take)
        structures.changed.connect(self._follow)

    def _take(self, segment: Segment) -> None:
        if not self._is_aimed_at(segment):
            return
        whole = bool(segment.structure.part.any())
        if whole and self._desk.session.planning.draft.target_ct_mm is None:
            self._aim_at(segment)
            self._desk.banner.say(f"{segment.display_name} is the target now", Mood.DONE)
            return
        # A brush goes on drawing: its middle is taken when it is asked for.
        self._offered = segment.number
        self._follow()

    def _follow(self) -> None:
        """Offered as long as there is any of it."""
        segment = self._segment
        self.setVisible(segment is not None)
        if segment is not None:
            self._words.setText(f"{segment.display_name} was drawn")

    @property
    def _segment(self) -> Segment | None:
        return next(
            (
                one
                for one in self._structures.segments
                if one.number == self._offered and one.structure.part.any()
            ),
            None,
        )

    def _use(self) -> None:
        segment = self._segment
        if segment is not None:
            self._aim_at(segment)
        self._offered = None
        self._follow()

    def _aim_at(self, segment: Segment) -> None:
        volume = self._structures.volume
        if volume is not None:
            kji = np.argwhere(segment.structure.part).mean(axis=0) + segment.structure.corner_kji
            self._aim(segment.display_name, apply(volume.ct_from_voxel, kji[::-1]))

    def _is_aimed_at(self, segment: Segment) -> bool:
        role = given_role(segment.name, self._desk.session.planning.protocol).role
        return role is Role.TARGET or any(fnmatchcase(segment.name, name) for name in AIMED_AT)

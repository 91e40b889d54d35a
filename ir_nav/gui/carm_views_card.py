"""Views along the planned path: the C-arm's angles that look down it and square across it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest

from PyQt6.QtWidgets import QComboBox

from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import Card, Facts, label
from ir_nav.planning import PlannedPath
from ir_nav.progress import Progress
from ir_nav.registration.fluoro.carm_angles import (
    CArmReach,
    PatientPosition,
    PlannedView,
    entry_view,
    progress_views,
)

NAMES = ("Entry view", "Progress 1", "Progress 2")
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


@dataclass(frozen=True, slots=True)
class _Asked:
    """What views depend on. ends: entry and target in `ct`, mm."""

    ends: tuple[tuple[float, ...], tuple[float, ...]]
    reach: CArmReach
    position: PatientPosition


class CArmViewsCard(Card):
    """The angles are the patient's, what is in reach is the room's.

    path: of which; the approved one by default. waiting: what to say while there is none.
    """

    def __init__(
        self,
        desk: Desk,
        path: Callable[[], PlannedPath | None] | None = None,
        waiting: str = "Approve a path in Plan to see its views.",
    ) -> None:
        super().__init__("C-arm views along the path")
        self._desk = desk
        self._path = path or (lambda: approved_path(desk))
        self._waiting = waiting
        self._seen: _Asked | None = None
        self._shown: _Asked | None = None
        self._working = False
        self._lying = QComboBox()
        self._lying.setObjectName("patient_lies")
        self._lying.setAccessibleName("How the patient lies")
        self._lying.addItems(list(LYING.values()))
        self._lying.currentIndexChanged.connect(self._lie)
        self._facts = Facts(NAMES)
        self._note = label("", "quiet", name="carm_reach")
        self.add(self._lying, self._facts, self._note)

    def follow(self) -> None:
        """Draw the views of the path at hand; they are worked out once it rests."""
        fluoro, path = self._desk.session.fluoro, self._path()
        self._lying.setCurrentIndex(list(LYING).index(fluoro.position))
        words = reach_words(fluoro.reach, known=fluoro.reach_known)
        self._note.setText(self._waiting if path is None else words)
        asked = None if path is None else _asked(path, fluoro.reach, fluoro.position)
        rests, self._seen = asked == self._seen, asked
        if asked != self._shown:
            self._show(None, ())
        if asked is None or asked == self._shown or self._working or not rests:
            return
        self._working = True

        def run(_: Progress) -> tuple[PlannedView, ...]:
            try:
                return _views_of(asked)
            finally:
                self._working = False

        # Some 60 ms: too long for the thread that drags the path.
        self._desk.worker.submit(
            "Views along the path", run, lambda views: self._show(asked, views), quiet=True
        )

    def _show(self, asked: _Asked | None, views: tuple[PlannedView, ...]) -> None:
        self._shown = asked
        for name, view in zip_longest(NAMES, views):
            words = "" if view is None else view_words(view)
            self._facts.show_fact(name, words, "" if view is None or view.reachable else "warn")

    def _lie(self, index: int) -> None:
        self._desk.session.fluoro.lie(list(LYING)[index])


def approved_path(desk: Desk) -> PlannedPath | None:
    """Of the plan that guidance goes by."""
    plan = desk.session.planning.plan
    return None if plan is None else plan.path


def views_line(path: PlannedPath, reach: CArmReach, position: PatientPosition) -> str:
    """All three in one line, for paper: 'Entry view LAO 30° CRAN 5°; progress 1 ...'."""
    words: list[str] = []
    for name, view in zip(NAMES, _views_of(_asked(path, reach, position)), strict=True):
        near = "" if view.reachable else f" (out of reach, nearest {view.nearest})"
        words.append(f"{name if not words else name.lower()} {view.wanted}{near}")
    return f"{'; '.join(words)}; patient {LYING[position]}"


def _asked(path: PlannedPath, reach: CArmReach, position: PatientPosition) -> _Asked:
    entry, target = (tuple(map(float, end)) for end in (path.entry_ct_mm, path.target_ct_mm))
    return _Asked((entry, target), reach, position)


def _views_of(asked: _Asked) -> tuple[PlannedView, ...]:
    """Down the path, and two square across it."""
    entry = entry_view(*asked.ends, asked.reach, asked.position)
    return entry, *progress_views(*asked.ends, asked.reach, asked.position)


def view_words(view: PlannedView) -> str:
    """'LAO 30° CRAN 5°', and how near the C-arm comes to it where it is out of reach."""
    if view.reachable:
        return f"✓ {view.wanted}"
    return f"✕ {view.wanted}: nearest {view.nearest}, {view.off_deg:.0f}° off"


def reach_words(reach: CArmReach, *, known: bool) -> str:
    """What is taken to be in reach; known: by the room file."""
    return (
        f"In reach, {'by the room file' if known else 'assumed'}: RAO {reach.rao_deg:g}° to LAO "
        f"{reach.lao_deg:g}°, CAUD {reach.caudal_deg:g}° to CRAN {reach.cranial_deg:g}° of a "
        "patient head first on his back."
    )

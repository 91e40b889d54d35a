"""The rows of the list of structures: their order, and two lines each where the list is narrow."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import QModelIndex, QRect, Qt
from PyQt6.QtGui import QPainter
from PyQt6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from ir_nav.gui import theme
from ir_nav.imaging.segmentation import Segment
from ir_nav.planning import PlanFinding, Protocol
from ir_nav.planning.findings import CLEARANCE
from ir_nav.planning.protocol import Role
from ir_nav.session.structure_roles import given_role

DETAIL = Qt.ItemDataRole.UserRole + 1
ROW_PX = 30
TWO_LINES_PX = 44
INDENT_PX = 44
_PLACES = {Role.TARGET: 0, Role.FORBIDDEN: 1, Role.AVOID: 1, Role.TRAVERSABLE: 2}


def ordered(
    segments: tuple[Segment, ...], protocol: Protocol | None, near_mm: Mapping[str, float]
) -> tuple[Segment, ...]:
    """Targets, then what is avoided, the nearest to the path first, then the rest; by name where
    no distance is known. near_mm: clearances by the structure's name for people."""

    def place(segment: Segment) -> tuple[int, float, str]:
        role = Role.TRAVERSABLE if protocol is None else given_role(segment.name, protocol).role
        away_mm = near_mm.get(segment.display_name, float("inf"))
        return _PLACES[role], away_mm if _PLACES[role] == 1 else 0.0, segment.display_name

    return tuple(sorted(segments, key=place))


def clearances_by_name(limits: tuple[PlanFinding, ...] | None) -> dict[str, float]:
    """The least clearance to each structure that lies near the path, in whole mm: the list does
    not change its order for less."""
    found: dict[str, float] = {}
    for one in limits or ():
        if one.name == CLEARANCE:
            found[one.structure] = min(round(one.value), found.get(one.structure, 1e9))
    return found


class TwoLines(QStyledItemDelegate):
    """The name on a full line, what else is known in small beneath it."""

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        detail = index.data(DETAIL)
        if painter is None or not detail or option.rect.height() < TWO_LINES_PX:
            super().paint(painter, option, index)
            return
        box = QRect(option.rect)
        super().paint(painter, option, index)
        painter.save()
        painter.setFont(theme.font(theme.LEAST))
        painter.setPen(theme.colour(theme.TEXT_2))
        beneath = box.adjusted(INDENT_PX, box.height() // 2, -8, 0)
        painter.drawText(beneath, Qt.AlignmentFlag.AlignLeft, str(detail))
        painter.restore()

    def initStyleOption(self, option: QStyleOptionViewItem | None, index: QModelIndex) -> None:
        super().initStyleOption(option, index)
        if option is not None and index.data(DETAIL) and option.rect.height() >= TWO_LINES_PX:
            option.displayAlignment = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop
            option.decorationAlignment = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop

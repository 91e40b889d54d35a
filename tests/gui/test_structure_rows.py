"""The order of the list of structures, and its rows where the list is narrow."""

from __future__ import annotations

from PyQt6.QtCore import QRect, Qt
from PyQt6.QtGui import QImage, QPainter
from PyQt6.QtWidgets import QApplication, QStyleOptionViewItem, QTableWidget, QTableWidgetItem

from ir_nav.gui import theme
from ir_nav.gui.structure_rows import DETAIL, TWO_LINES_PX, TwoLines, clearances_by_name, ordered
from ir_nav.imaging.segmentation import Segment
from ir_nav.planning import PlanFinding, shipped_protocol


class Named:
    """As much of a segment as its place in the list asks for."""

    def __init__(self, name: str, shown: str) -> None:
        self.name, self.display_name = name, shown


def near(structure: str, value_mm: float) -> PlanFinding:
    return PlanFinding("Clearance", structure, value_mm, "mm", 2.0, True, True)


def test_targets_first_then_what_is_avoided_by_its_distance() -> None:
    segments: tuple[Segment, ...] = tuple(
        Named(name, shown)  # type: ignore[misc]
        for name, shown in (
            ("liver", "Liver"),
            ("aorta", "Aorta"),
            ("rib_right_9", "Right rib 9"),
            ("rib_right_8", "Right rib 8"),
            ("lesion", "Lesion"),
        )
    )
    protocol = shipped_protocol()

    def names(near_mm: dict[str, float]) -> list[str]:
        return [one.display_name for one in ordered(segments, protocol, near_mm)]

    assert names({}) == ["Lesion", "Aorta", "Right rib 8", "Right rib 9", "Liver"]
    limits = (near("Right rib 9", 7.4), near("Right rib 8", 9.8), near("Right rib 8", 12.0))
    found = clearances_by_name(limits)
    assert found == {"Right rib 9": 7, "Right rib 8": 10}
    assert names(found) == ["Lesion", "Right rib 9", "Right rib 8", "Aorta", "Liver"]


def test_a_narrow_row_says_the_rest_on_its_second_line(app: QApplication) -> None:
    table = QTableWidget(1, 1)
    item = QTableWidgetItem("Right atrial appendage of the heart")
    table.setItem(0, 0, item)
    table.setStyleSheet(f"color: {theme.TEXT_1}; font-size: {theme.NOTE}px;")

    def lower_half(height: int, detail: str) -> int:
        item.setData(DETAIL, detail)
        image = QImage(300, height, QImage.Format.Format_RGB32)
        image.fill(Qt.GlobalColor.black)
        painter = QPainter(image)
        option = QStyleOptionViewItem()
        option.rect = QRect(0, 0, 300, height)
        option.widget = table
        TwoLines(table).paint(painter, option, table.model().index(0, 0))
        painter.end()
        return sum(
            image.pixelColor(x, y).lightness() > 80
            for x in range(50, 300)
            for y in range(height // 2 + 2, height)
        )

    assert lower_half(TWO_LINES_PX, "avoid 5 mm · 12 ml") > lower_half(TWO_LINES_PX, "") + 50

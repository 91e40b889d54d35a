"""Every colour, size and font of the console."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

from PyQt6.QtGui import QColor, QFont, QFontDatabase, QPalette

BAR: Final = "#0d0f12"
WINDOW: Final = "#14171b"
PANEL: Final = "#1c2025"
LINE: Final = "#2b3138"
RAISED: Final = "#252b32"
CURRENT: Final = "#22303f"
IMAGE: Final = "#000000"

TEXT_1: Final = "#f3f5f7"
TEXT_2: Final = "#aab4be"
TEXT_3: Final = "#75808b"

ACCENT: Final = "#4a90d9"
ACCENT_HOVER: Final = "#5b9fe6"
PLAN: Final = "#56b4e9"
NEEDLE: Final = "#e69f00"
STRUCTURE: Final = "#9fc2a8"
GOOD: Final = "#3fbf8a"
GOOD_DEEP: Final = "#15392c"
DANGER_ZONE: Final = "#d55e00"
ERROR: Final = "#f3f5f7"
ALARM_HIGH: Final = "#ff5a4d"
ALARM_HIGH_DEEP: Final = "#40191a"
ALARM_MEDIUM: Final = "#ffd21f"
ALARM_MEDIUM_DEEP: Final = "#3a3213"
ALARM_LOW: Final = "#35d0e0"
SIMULATED: Final = "#d9c2ef"
SKIN: Final = "#d9b8a2"

RADIUS: Final = 8
GAP: Final = 10
FRAME: Final = 4
BUTTON_HEIGHT: Final = 52
TOP_BAR_HEIGHT: Final = 60
FOOTER_HEIGHT: Final = 26
RAIL_WIDTH: Final = 232
RAIL_WIDTH_SMALL: Final = 196
SIDE_WIDTH: Final = 470
SIDE_WIDTH_SMALL: Final = 360
SMALL_SCREEN_PX: Final = 1500

NUMERAL: Final = 74
HEADLINE: Final = 30
TITLE: Final = 20
ROW: Final = 18
BODY: Final = 16
NOTE: Final = 14
LEAST: Final = 13

REGULAR: Final = 400
MEDIUM: Final = 500
STRONG: Final = 600

FAMILY: Final = "Inter"
# A style sheet knows a picture by its file alone.
CHEVRON: Final = f"{resources.files('ir_nav.gui')}/icons/chevron.svg".replace("\\", "/")


def load_fonts() -> None:
    """Make the bundled Inter known to Qt; needs a QApplication."""
    folder = resources.files("ir_nav.gui") / "fonts"
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".otf"):
            with resources.as_file(entry) as path:
                QFontDatabase.addApplicationFont(str(path))


@cache
def font(px: int, weight: int = REGULAR) -> QFont:
    """Inter with tabular figures; one shared object per size and weight."""
    made = QFont(FAMILY)
    made.setPixelSize(px)
    made.setWeight(QFont.Weight(weight))
    made.setFeature(QFont.Tag("tnum"), 1)
    made.setStyleStrategy(QFont.StyleStrategy.PreferAntialias)
    return made


@cache
def colour(name: str, alpha: float = 1.0) -> QColor:
    """A shared QColor; do not change it."""
    made = QColor(name)
    made.setAlphaF(alpha)
    return made


def palette() -> QPalette:
    """Dark colours for whatever the style sheet does not name."""
    made = QPalette()
    role = QPalette.ColorRole
    for which, name in (
        (role.Window, WINDOW),
        (role.Base, BAR),
        (role.AlternateBase, PANEL),
        (role.Button, PANEL),
        (role.Text, TEXT_1),
        (role.WindowText, TEXT_1),
        (role.ButtonText, TEXT_1),
        (role.Highlight, ACCENT),
        (role.HighlightedText, TEXT_1),
        (role.PlaceholderText, TEXT_3),
    ):
        made.setColor(which, QColor(name))
    return made


STYLE: Final = f"""
* {{ font-family: "{FAMILY}"; font-size: {BODY}px; color: {TEXT_1}; outline: none; }}
QMainWindow, QDialog, QWidget#window, QWidget#page {{ background: {WINDOW}; }}
QWidget#bar, QWidget#rail, QWidget#footer {{ background: {BAR}; }}
QWidget#panel {{ background: {PANEL}; border: 1px solid {LINE}; border-radius: {RADIUS}px; }}
QLabel {{ background: transparent; }}
QLabel[kind="title"] {{ font-size: {TITLE}px; font-weight: 600; }}
QLabel[kind="heading"] {{ font-size: {BODY}px; font-weight: 600; color: {TEXT_2}; }}
QLabel[kind="value"] {{ font-size: {ROW}px; font-weight: 500; }}
QLabel[kind="big"] {{ font-size: {HEADLINE}px; font-weight: 600; }}
QLabel[kind="body"] {{ font-size: {BODY}px; color: {TEXT_2}; }}
QLabel[kind="note"] {{ font-size: {NOTE}px; color: {TEXT_2}; }}
QLabel[kind="quiet"] {{ font-size: {NOTE}px; color: {TEXT_3}; }}
QLabel[mood="quiet"] {{ color: {TEXT_3}; font-weight: 400; }}
QLabel[mood="good"] {{ color: {GOOD}; }}
QLabel[mood="bad"] {{ color: {ALARM_HIGH}; }}
QLabel[mood="warn"] {{ color: {ALARM_MEDIUM}; }}
QPushButton {{
    background: {PANEL}; border: 1px solid {LINE}; border-radius: {RADIUS}px;
    min-height: {BUTTON_HEIGHT - 2}px; padding: 0 14px; font-size: {BODY}px; font-weight: 600;
}}
QPushButton:hover {{ background: {RAISED}; }}
QPushButton[ring="true"] {{ border: 2px solid {TEXT_1}; }}
QPushButton:pressed, QPushButton:checked {{ background: {CURRENT}; border: 1px solid {ACCENT}; }}
QPushButton:disabled {{ color: {TEXT_3}; }}
QPushButton[kind="primary"] {{ background: {ACCENT}; border: 1px solid {ACCENT}; }}
QPushButton[kind="primary"]:hover {{ background: {ACCENT_HOVER}; }}
QPushButton[kind="primary"]:disabled {{
    background: {PANEL}; border: 1px solid {LINE}; color: {TEXT_3};
}}
QPushButton[kind="small"] {{ min-height: 34px; font-size: {NOTE}px; padding: 0 12px; }}
QPushButton[kind="tab"] {{
    min-height: {BUTTON_HEIGHT - 2}px; font-size: {LEAST}px; padding: 0 2px; color: {TEXT_2};
}}
QPushButton[kind="tab"]:checked {{ color: {TEXT_1}; }}
QPushButton[kind="tab"][mood="bad"] {{ color: {ALARM_HIGH}; }}
QPushButton[kind="tab"][mood="warn"] {{ color: {ALARM_MEDIUM}; }}
QComboBox {{
    background: {PANEL}; border: 1px solid {LINE}; border-radius: {RADIUS}px;
    min-height: 38px; padding: 0 12px;
}}
QLineEdit {{
    background: {BAR}; border: 1px solid {LINE}; border-radius: {RADIUS}px;
    min-height: 38px; padding: 0 12px;
}}
QComboBox[ring="true"], QLineEdit:focus {{ border: 2px solid {ACCENT}; }}
QComboBox::drop-down {{ border: 0; width: 26px; }}
QComboBox::down-arrow {{ image: url("{CHEVRON}"); width: 12px; height: 8px; }}
QComboBox QAbstractItemView {{
    background: {PANEL}; border: 1px solid {LINE}; selection-background-color: {CURRENT};
}}
QTableWidget, QListWidget {{
    background: {PANEL}; border: 1px solid {LINE}; border-radius: {RADIUS}px;
    gridline-color: {LINE}; selection-background-color: {CURRENT};
    selection-color: {TEXT_1};
}}
QTableWidget::item, QListWidget::item {{ padding: 4px 8px; border: 0; }}
QListWidget::item:selected {{ background: {CURRENT}; }}
QHeaderView, QHeaderView::section {{
    background: {PANEL}; color: {TEXT_2}; border: 0; border-bottom: 1px solid {LINE};
    padding: 6px 8px; font-size: {NOTE}px;
}}
QScrollArea {{ border: 0; background: transparent; }}
QScrollBar:vertical {{ background: transparent; width: 10px; }}
QScrollBar::handle:vertical {{ background: {LINE}; border-radius: 5px; min-height: 30px; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; }}
QScrollBar::handle:horizontal {{ background: {LINE}; border-radius: 5px; min-width: 30px; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QProgressBar {{
    background: {LINE}; border: 0; border-radius: 4px; max-height: 8px; min-height: 8px;
}}
QProgressBar::chunk {{ background: {ACCENT}; border-radius: 4px; }}
QToolTip {{ background: {PANEL}; color: {TEXT_1}; border: 1px solid {LINE}; padding: 6px; }}
"""

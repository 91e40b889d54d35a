"""The slim bar beneath a page's slices: tools, window, slab, cine, second series, 3D."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.reading_desk import ReadingDesk
from ir_nav.gui.reading_icons import SIDE, icon
from ir_nav.gui.reading_second import SecondCard
from ir_nav.gui.reading_settings import SLABS, slab_words
from ir_nav.gui.reading_windows import PRESETS
from ir_nav.gui.scene_request import VolumeLook
from ir_nav.gui.scene_view import SceneView
from ir_nav.gui.side_sections import bring_into_sight
from ir_nav.gui.slice_tools import SliceTool, SliceTools
from ir_nav.imaging import Volume

BUTTON_PX = 34
AUTO = "Auto"
OWN = "Own"
STYLE = f"""
QToolButton {{ border: 1px solid transparent; border-radius: 6px; background: transparent; }}
QToolButton:hover {{ background: {theme.RAISED}; }}
QToolButton:checked, QToolButton:pressed {{
    background: {theme.CURRENT}; border: 1px solid {theme.ACCENT};
}}
QToolButton:focus {{ border: 1px solid {theme.TEXT_1}; }}
QComboBox {{ min-height: 30px; max-height: 30px; font-size: {theme.NOTE}px; padding: 0 4px 0 8px; }}
QComboBox::drop-down {{ width: 18px; }}
QComboBox QAbstractItemView {{ font-size: {theme.NOTE}px; }}
"""


class ReadingBar(QFrame):
    """Makes the reading tools of a page's slices usable. cards: for the page's side column.

    reset: called when the views shall look as they did at first.
    """

    def __init__(
        self,
        desk: Desk,
        tools: SliceTools,
        scene: SceneView,
        reset: Callable[[], object],
        folder: Path | None = None,
    ) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setStyleSheet(STYLE)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.desk = ReadingDesk(desk, tools, folder)
        self.second = SecondCard(desk, tools)
        self._tools = tools
        self._scene = scene
        self._reset = reset
        self._volume: Volume | None = None
        self._buttons: dict[str, tuple[QToolButton, SliceTool]] = {}
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(6, 4, 6, 4)
        self._row.setSpacing(2)
        self._add_tools()
        self._row.addStretch(1)
        self._windows = self._combo("reading_window", "Window; W: next, Alt+1 … Alt+6")
        self._windows.addItems([OWN, AUTO, *(preset.name for preset in PRESETS)])
        self._windows.activated.connect(self._choose_window)
        self._slabs = self._combo("reading_slab", "Slab; S: next")
        self._slabs.addItems([slab_words(slab) for slab in SLABS])
        self._slabs.activated.connect(lambda index: self.desk.set_slab(SLABS[index]))
        self._looks = self._combo("reading_3d", "3D: surfaces, or the volume itself")
        self._looks.addItems([look.value for look in VolumeLook])
        self._looks.activated.connect(self._choose_look)
        self._add_commands()
        self._add_keys()
        tools.changed.connect(self._show_tool)
        self.desk.changed.connect(self._show)
        self.desk.hung.connect(self._show)
        self._show()

    @property
    def cards(self) -> tuple[QWidget, ...]:
        """The lists and settings for the side column; each hides itself while it is empty."""
        return self.desk.card, self.second

    def follow(self, volume: Volume | None) -> None:
        """Read another CT; its annotations and the way it was hung come with it."""
        if volume is self._volume:
            return
        self._volume = volume
        self.desk.follow(volume)
        self.second.follow(volume)
        self._scene.set_volume(volume)
        self._show()

    def use(self, name: str) -> None:
        """Take up a tool by its name, or put it away."""
        button, tool = self._buttons[name]
        self._tools.use(None if self._tools.active is tool else tool)
        button.setChecked(self._tools.active is tool)

    def set_look(self, look: VolumeLook) -> None:
        """How the 3D view shows the patient."""
        self._looks.setCurrentIndex(list(VolumeLook).index(look))
        self._scene.set_volume_look(look)

    def reset(self) -> None:
        """Views as at first: zoom, planes, window, slab."""
        self.desk.reset()
        self._reset()
        self._show()

    def show_list(self) -> None:
        """Bring the list of annotations into sight."""
        if self.desk.card.isHidden():
            self.desk.say_none()
        else:
            bring_into_sight(self.desk.card)
            self.desk.card.list.setFocus()

    def show_second(self) -> None:
        """Show the second series' card, or put it away."""
        self.second.toggle()
        if not self.second.isHidden():
            bring_into_sight(self.second)

    def _add_tools(self) -> None:
        for name, key, tool in self.desk.offered:
            words = f"{tool.name} ({key})"
            button = self._button(f"tool_{name}", name, words, partial(self.use, name))
            button.setCheckable(True)
            self._buttons[name] = (button, tool)

    def _add_commands(self) -> None:
        self._cine = self._button(
            "reading_cine", "play", "Cine (C; slower , faster .)", self.desk.toggle_cine
        )
        self._cine.setCheckable(True)
        self._button("reading_reset", "reset", "Views as at first (R)", self.reset)
        self._button("reading_list", "list", "List of measurements and notes (Y)", self.show_list)
        second = self._button(
            "reading_second", "second", "Second series: register and fuse (B)", self.show_second
        )
        second.setCheckable(True)
        self.second.shown_changed.connect(second.setChecked)
        self.second.proposed.connect(lambda: bring_into_sight(self.second))

    def _add_keys(self) -> None:
        bindings: list[tuple[str, Callable[[], object]]] = [
            (key, partial(self.use, name)) for name, key, _ in self.desk.offered
        ]
        bindings += [
            (f"Alt+{preset.key}", partial(self.desk.set_preset, preset)) for preset in PRESETS
        ]
        bindings += [
            ("Alt+0", self.desk.set_auto_window),
            ("W", lambda: self.desk.next_preset(1)),
            ("Shift+W", lambda: self.desk.next_preset(-1)),
            ("S", lambda: self.desk.next_slab(1)),
            ("Shift+S", lambda: self.desk.next_slab(-1)),
            ("C", self.desk.toggle_cine),
            (".", lambda: self.desk.cine_faster(True)),
            (",", lambda: self.desk.cine_faster(False)),
            ("I", self.desk.toggle_lines),
            ("R", self.reset),
            ("B", self.show_second),
            ("Y", self.show_list),
        ]
        for keys, action in bindings:
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.activated.connect(partial(_run, action))

    def _button(
        self, name: str, sign: str, words: str, action: Callable[[], object]
    ) -> QToolButton:
        made = QToolButton()
        made.setObjectName(name)
        made.setAccessibleName(words)
        made.setToolTip(words)
        made.setIcon(icon(sign))
        made.setIconSize(QSize(SIDE, SIDE))
        made.setFixedSize(BUTTON_PX, BUTTON_PX)
        made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        made.clicked.connect(lambda _=False: action())
        self._row.addWidget(made)
        return made

    def _combo(self, name: str, words: str) -> QComboBox:
        made = QComboBox()
        made.setObjectName(name)
        made.setAccessibleName(words)
        made.setToolTip(words)
        made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        made.setMinimumContentsLength(9)
        made.view().setMinimumWidth(150)  # type: ignore[union-attr]
        self._row.addWidget(made)
        return made

    def _choose_window(self, index: int) -> None:
        if index == 1:
            self.desk.set_auto_window()
        elif index > 1:
            self.desk.set_preset(PRESETS[index - 2])

    def _choose_look(self, index: int) -> None:
        self.set_look(list(VolumeLook)[index])

    def _show_tool(self, active: SliceTool | None) -> None:
        for button, tool in self._buttons.values():
            button.setChecked(tool is active)

    def _show(self) -> None:
        """Let the controls say how the views are."""
        preset = self.desk.preset
        self._windows.setCurrentIndex(0 if preset is None else PRESETS.index(preset) + 2)
        self._slabs.setCurrentIndex(SLABS.index(self.desk.slab))
        playing = self.desk.cine.playing
        self._cine.setChecked(playing)
        self._cine.setIcon(icon("stop" if playing else "play"))
        self.setEnabled(self._volume is not None)


def _run(action: Callable[[], object]) -> None:
    """Whatever a command returns is no answer to a key."""
    action()

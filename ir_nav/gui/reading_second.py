"""The second series: open it, lay it over the CT, judge that, and look at both."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path

import numpy as np
from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QPainter
from PyQt6.QtWidgets import QComboBox, QSlider

from ir_nav.gui.desk import Desk
from ir_nav.gui.files import IMAGES, ask_file, ask_folder
from ir_nav.gui.forms import Card, button, label, set_mood
from ir_nav.gui.notice import Mood
from ir_nav.gui.reading_windows import auto_window, is_ct
from ir_nav.gui.slice_second import ColourMap, SecondLook, SecondMode
from ir_nav.gui.slice_tools import PlainTool, Pointer, SliceTools
from ir_nav.gui.slice_view import DEFAULT_LEVEL_HU, DEFAULT_WINDOW_HU, SliceView
from ir_nav.imaging import Volume, read_volume
from ir_nav.progress import Progress
from ir_nav.registration.volumes import VolumeRegistration, placed, register_volumes, verdict

GRAB_PX = 10.0
STEPS = 100


class Standing(Enum):
    """How far the second series is."""

    NONE = "none"
    STATED = "stated"
    PROPOSED = "proposed"
    ACCEPTED = "accepted"


class SecondCard(Card):
    """Hidden until asked for. shown_changed: whether it is on the screen. proposed: a result
    waits to be accepted."""

    shown_changed = pyqtSignal(bool)
    proposed = pyqtSignal()

    def __init__(self, desk: Desk, tools: SliceTools) -> None:
        super().__init__("Second series")
        self._desk = desk
        self._tools = tools
        self._ct: Volume | None = None
        self._second: Volume | None = None
        self._found: VolumeRegistration | None = None
        self._look: SecondLook | None = None
        self._asked = False
        self.standing = Standing.NONE
        self._title = label("An MR, a PET or another CT of this patient", "note")
        self._words = label("", "quiet", name="second_words")
        self._build()
        tools.add_layer(_Divider(self))
        self._swipe = SwipeTool(self)
        self._show()

    @property
    def look(self) -> SecondLook | None:
        """What the slices show."""
        return self._look

    @property
    def found(self) -> VolumeRegistration | None:
        """The last registration, accepted or not."""
        return self._found

    def toggle(self) -> None:
        """Show the card, or put it away and the second series with it."""
        self._asked = not self._asked
        self._show()

    def follow(self, volume: Volume | None) -> None:
        """Another CT: the second series was another's."""
        self._ct = volume
        self.drop()

    def ask(self) -> None:
        """Ask for the second series' file."""
        ask_file(self, "Open a second series", self._desk.folder("second"), IMAGES, self.open)

    def ask_folder(self) -> None:
        """Ask for a folder of DICOM files."""
        ask_folder(self, "Open a second series", self._desk.folder("second"), self.open)

    def open(self, path: Path) -> None:
        """Read a series on the worker."""
        self._desk.remember_folder("second", path)
        ct = self._ct

        def take(volume: Volume) -> None:
            if ct is self._ct:
                self.take(volume)

        self._desk.worker.submit(
            f"Opening {path.name}", lambda progress: read_volume(path, progress), take
        )

    def take(self, volume: Volume) -> None:
        """Show a series where its file places it, until it is registered."""
        self._second, self._found = volume, None
        self._asked = True
        self.standing = Standing.STATED
        window = (DEFAULT_WINDOW_HU, DEFAULT_LEVEL_HU) if is_ct(volume) else auto_window(volume)
        mode = list(SecondMode)[max(self._modes.currentIndex(), 0)]
        self._put(SecondLook(volume, *window, mode=mode, colours=self._colours_chosen()))
        self._apply()

    def register(self) -> None:
        """Lay it over the CT on the worker."""
        ct, second = self._ct, self._second
        if ct is None or second is None:
            self._desk.banner.say("Open a second series first", Mood.REFUSED)
            return

        def work(progress: Progress) -> VolumeRegistration:
            return register_volumes(ct, second, progress)

        def done(found: VolumeRegistration) -> None:
            if ct is self._ct and second is self._second:
                self.propose(found)

        self._desk.worker.submit("Registering the second series", work, done)

    def propose(self, found: VolumeRegistration) -> None:
        """Show a registration's result; it holds once it is accepted."""
        assert self._second is not None
        self._found, self.standing = found, Standing.PROPOSED
        self._put(self._with(volume=placed(self._second, found.ct_from_second)))
        self.proposed.emit()

    def accept(self) -> None:
        """Keep the registration."""
        if self.standing is Standing.PROPOSED:
            self.standing = Standing.ACCEPTED
            self._desk.banner.say("The second series is registered", Mood.DONE)
            self._show()

    def reject(self) -> None:
        """Back to where the file places it."""
        if self._second is not None and self._found is not None:
            self._found, self.standing = None, Standing.STATED
            self._put(self._with(volume=self._second))

    def drop(self) -> None:
        """Take the second series away."""
        self._second = self._found = None
        self.standing = Standing.NONE
        self._put(None)

    def set_swipe(self, part: float) -> None:
        """Move the divider."""
        if self._look is not None:
            self._put(replace(self._look, swipe=min(max(part, 0.0), 1.0)))

    def set_mode(self, mode: SecondMode) -> None:
        """Fused, swipe, checkerboard or alone."""
        self._modes.setCurrentIndex(list(SecondMode).index(mode))
        self._apply()

    def _build(self) -> None:
        self._modes, self._colours = QComboBox(), QComboBox()
        self._modes.setObjectName("second_mode")
        self._modes.setAccessibleName("How the second series is shown")
        self._modes.addItems([mode.value for mode in SecondMode])
        self._modes.activated.connect(lambda _: self._apply())
        self._colours.setObjectName("second_colours")
        self._colours.setAccessibleName("Colours of the second series")
        self._colours.addItems([colours.value for colours in ColourMap])
        self._colours.activated.connect(lambda _: self._apply())
        self._opacity = QSlider(Qt.Orientation.Horizontal)
        self._opacity.setObjectName("second_opacity")
        self._opacity.setAccessibleName("Opacity of the second series")
        self._opacity.setRange(0, STEPS)
        self._opacity.setValue(STEPS // 2)
        self._opacity.valueChanged.connect(lambda _: self._apply())
        self.add(self._title)
        self.add_row(
            button("open_second", "Open …", self.ask, kind="small"),
            button("open_second_folder", "Folder …", self.ask_folder, kind="small"),
            button("drop_second", "Close", self.drop, kind="small"),
        )
        self._register = button("register_second", "Register to the CT", self.register)
        self.add(self._register, self._words)
        self._accept = button("accept_second", "Accept", self.accept, kind="small")
        self._reject = button("reject_second", "Reject", self.reject, kind="small")
        self.add_row(self._accept, self._reject)
        self.add_row(self._modes, self._colours)
        self.add(self._opacity)

    def _colours_chosen(self) -> ColourMap:
        return list(ColourMap)[max(self._colours.currentIndex(), 0)]

    def _with(self, volume: Volume) -> SecondLook:
        assert self._look is not None
        return replace(self._look, volume=volume)

    def _apply(self) -> None:
        """What the controls say, on the slices."""
        if self._look is None:
            return
        mode = list(SecondMode)[self._modes.currentIndex()]
        self._put(
            replace(
                self._look,
                mode=mode,
                colours=self._colours_chosen(),
                opacity=self._opacity.value() / STEPS,
            )
        )

    def _put(self, look: SecondLook | None) -> None:
        self._look = look
        for view in self._tools.views:
            view.show_second(look)
        if look is not None and look.mode is SecondMode.SWIPE:
            if self._tools.active is None:
                self._tools.use(self._swipe)
        elif self._tools.active is self._swipe:
            self._tools.use(None)
        self._show()

    def _show(self) -> None:
        there = self._second is not None
        visible = self._asked or there
        if self.isHidden() == visible:
            self.setVisible(visible)
        self.shown_changed.emit(visible)
        for widget in (self._modes, self._register):
            widget.setEnabled(there)
        fused = self._look is not None and self._look.mode is SecondMode.FUSED
        self._colours.setEnabled(fused)
        self._opacity.setEnabled(fused)
        self._accept.setVisible(self.standing is Standing.PROPOSED)
        self._reject.setVisible(self.standing in (Standing.PROPOSED, Standing.ACCEPTED))
        self._title.setText(_title(self._second))
        words, mood = self._status()
        self._words.setText(words)
        self._words.setVisible(bool(words))
        set_mood(self._words, mood)

    def _status(self) -> tuple[str, str]:
        if self.standing is Standing.NONE or self._second is None:
            return "", ""
        if self._found is None:
            same = _one_frame(self._ct, self._second)
            said = "one frame of reference with the CT" if same else "no common frame of reference"
            return f"Not registered: shown where its file places it ({said}).", "warn"
        if self.standing is Standing.PROPOSED:
            return verdict(self._found), "warn" if self._found.doubtful else ""
        return verdict(self._found), "warn" if self._found.doubtful else "good"


class SwipeTool(PlainTool):
    """Drags the divider between the two series."""

    name = "Swipe"
    cursor = Qt.CursorShape.ArrowCursor

    def __init__(self, card: SecondCard) -> None:
        self._card = card
        self._dragging = False

    def press(self, pointer: Pointer) -> bool:
        look = self._card.look
        if not pointer.left or look is None or look.mode is not SecondMode.SWIPE:
            return False
        off = pointer.at_px.x() - look.swipe * pointer.view.width()
        self._dragging = abs(off) <= GRAB_PX
        return self._dragging

    def move(self, pointer: Pointer) -> bool:
        if self._dragging:
            self._card.set_swipe(pointer.at_px.x() / max(pointer.view.width(), 1))
        return self._dragging

    def release(self, pointer: Pointer) -> bool:
        was, self._dragging = self._dragging, False
        return was

    def leave(self) -> None:
        self._dragging = False


class _Divider:
    """A knob on the divider, by which it is dragged."""

    def __init__(self, card: SecondCard) -> None:
        self._card = card

    def paint(self, painter: QPainter, view: SliceView) -> None:
        look = self._card.look
        if look is None or look.mode is not SecondMode.SWIPE:
            return
        x, y = look.swipe * view.width(), view.height() / 2.0
        painter.setPen(Qt.GlobalColor.black)
        painter.setBrush(Qt.GlobalColor.white)
        painter.drawRoundedRect(int(x) - 4, int(y) - 14, 9, 28, 4, 4)
        painter.setBrush(Qt.BrushStyle.NoBrush)


def _one_frame(ct: Volume | None, second: Volume) -> bool:
    if ct is None:
        return False
    uid = ct.description.frame_of_reference_uid
    return uid is not None and uid == second.description.frame_of_reference_uid


def _title(second: Volume | None) -> str:
    """What the series is, without the patient's name."""
    if second is None:
        return "An MR, a PET or another CT of this patient"
    info = second.description
    name = Path(info.source_path).name if info.source_path else ""
    words = [info.modality or "Series", info.series_description or name, info.study_date]
    size = " × ".join(str(count) for count in second.size_ijk)
    spacing = " × ".join(f"{step:.1f}" for step in np.array(second.spacing_mm))
    return " · ".join([*(word for word in words if word), size, f"{spacing} mm"])

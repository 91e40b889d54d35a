"""What the reading bar commands: tools, annotations, hanging, cine, for one page's slices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QEvent, QObject, Qt, pyqtSignal
from PyQt6.QtGui import QFocusEvent, QKeyEvent
from PyQt6.QtWidgets import QLineEdit

from ir_nav.gui.annotation_card import AnnotationCard
from ir_nav.gui.annotation_desk import AnnotationDesk
from ir_nav.gui.desk import Desk
from ir_nav.gui.notice import Mood
from ir_nav.gui.reading_cine import SPEED_STEP, Cine
from ir_nav.gui.reading_curve import CurvedView
from ir_nav.gui.reading_links import CrossLines, CrossTool, go_through
from ir_nav.gui.reading_select import SelectTool
from ir_nav.gui.reading_settings import SLABS, read_hanging, write_hanging
from ir_nav.gui.reading_tools import MeasureTool
from ir_nav.gui.reading_windows import PRESETS, WindowPreset, auto_window, is_ct
from ir_nav.gui.slice_mouse import HU_PER_PX, BrowsableSlice
from ir_nav.gui.slice_tools import SliceTool, SliceTools
from ir_nav.imaging import Volume
from ir_nav.imaging.slab import Slab, compile_slabs
from ir_nav.session.annotations import (
    Angle,
    Annotation,
    Arrow,
    Ball,
    Curve,
    Distance,
    Ellipse,
    Polygon,
    Probe,
    points_of,
)

# A window of an MR or a PET is changed in this many steps across its own width.
WINDOW_STEPS = 200.0


class ReadingDesk(QObject):
    """changed: the window, the cine. hung: slab or lines, which are kept for the next patient."""

    changed = pyqtSignal()
    hung = pyqtSignal()

    def __init__(self, desk: Desk, tools: SliceTools, folder: Path | None = None) -> None:
        super().__init__()
        self._desk = desk
        self._tools = tools
        self._volume: Volume | None = None
        self._hanging = read_hanging(desk.settings)
        self._ct_window = desk.window_level_hu()
        self._fields = [view.field_mm for view in tools.views]
        self._axes = [view.axes_ct[:2] for view in tools.views]
        self._current = tools.views[0]
        self.annotations = AnnotationDesk(tools, desk.attempt, folder)
        self.card = AnnotationCard(self.annotations, lambda: desk.folder("annotations"))
        self.card.chosen.connect(self.go_to)
        self.lines = CrossLines(tools)
        self.lines.shown = self._hanging.cross_lines
        tools.add_layer(self.lines)
        tools.use_when_idle(SelectTool(self.annotations))
        self.cine = Cine(self._hanging.cine_hz)
        self.cine.changed.connect(self.changed)
        self.curve = CurvedView()
        self.curve.hide()
        self.curve.setParent(tools.views[-1])
        self.curve.closed.connect(self.curve.hide)
        self.curve.picked.connect(self._go_through_all)
        self._note: NoteEditor | None = None
        for view in tools.views:
            view.installEventFilter(self)
            view.set_slab(self._hanging.slab)
            view.windowed.connect(lambda *_: self.changed.emit())
        self.offered = self._make_tools()

    @property
    def slab(self) -> Slab:
        return self._hanging.slab

    @property
    def current(self) -> BrowsableSlice:
        """The slice the pointer or the focus was in last."""
        return self._current

    def say_none(self) -> None:
        """There is nothing to list."""
        self._desk.banner.say("Nothing is measured or noted in this CT yet", Mood.REFUSED)

    def select_view(self, view: BrowsableSlice) -> None:
        """Mean this slice by what is about one of them: the cine."""
        self._current = view

    @property
    def preset(self) -> WindowPreset | None:
        """The preset that the views have, or None for another window."""
        now = self._tools.views[0].window_level_hu
        return next(
            (preset for preset in PRESETS if (preset.window_hu, preset.level_hu) == now), None
        )

    def follow(self, volume: Volume | None) -> None:
        """Another CT, MR or PET: its annotations, and a window that fits it."""
        if self._volume is None and volume is not None:
            self._desk.worker.submit(
                "Preparing slabs", lambda _: compile_slabs(), lambda _: None, quiet=True
            )
        before, self._volume = self._volume, volume
        self.cine.stop()
        self._tools.use(None)
        self.curve.hide()
        self.annotations.open(None if volume is None else volume.identity)
        self.card.follow(volume)
        step = HU_PER_PX
        was_ct = before is None or is_ct(before)
        if volume is not None and not is_ct(volume):
            if was_ct:
                self._ct_window = self._tools.views[0].window_level_hu
            self.set_auto_window()
            step = auto_window(volume)[0] / WINDOW_STEPS
        elif not was_ct:
            # An MR's window is nothing for a CT, nor is it kept for the next start.
            self._set_window(*self._ct_window)
        for view in self._tools.views:
            view.set_window_step(step)
        self.changed.emit()

    def set_preset(self, preset: WindowPreset) -> None:
        """A window by its name."""
        self._set_window(preset.window_hu, preset.level_hu)

    def set_auto_window(self) -> None:
        """The window that fits the numbers at hand."""
        if self._volume is not None:
            self._set_window(*auto_window(self._volume))

    def next_preset(self, way: int) -> None:
        """The next window of the list."""
        at = -1 if self.preset is None else PRESETS.index(self.preset)
        self.set_preset(PRESETS[(at + way) % len(PRESETS)])

    def set_slab(self, slab: Slab) -> None:
        """Slices or slabs from now on."""
        self._hanging = replace(self._hanging, slab=slab)
        for view in self._tools.views:
            view.set_slab(slab)
        self._keep()

    def next_slab(self, way: int) -> None:
        """The next of the list."""
        self.set_slab(SLABS[(SLABS.index(self.slab) + way) % len(SLABS)])

    def toggle_lines(self) -> None:
        """Show or hide where the other slices cut this one."""
        self.lines.shown = not self.lines.shown
        self._hanging = replace(self._hanging, cross_lines=self.lines.shown)
        self._tools.repaint()
        self._keep()

    def toggle_cine(self) -> None:
        """Play the slice the pointer was in last, or stop."""
        if self.cine.playing:
            self.cine.stop()
        else:
            self.cine.play(self._current)

    def cine_faster(self, faster: bool) -> None:
        """Or slower."""
        self.cine.faster(SPEED_STEP if faster else 1.0 / SPEED_STEP)
        self._hanging = replace(self._hanging, cine_hz=self.cine.rate_hz)
        self._keep()

    def reset(self) -> None:
        """Zoom, planes, window and slab as at first."""
        self.cine.stop()
        self.curve.hide()
        self.set_slab(SLABS[0])
        if self._volume is None:
            return
        for view, field_mm, axes in zip(self._tools.views, self._fields, self._axes, strict=True):
            view.set_field(field_mm)
            view.look(self._volume.centre_ct_mm, *axes)
        if is_ct(self._volume):
            self.set_preset(PRESETS[0])
        else:
            self.set_auto_window()

    def go_to(self, item: Annotation) -> None:
        """Let every slice pass through an annotation; the first lies in its plane."""
        points = points_of(item)
        middle = points[0] if isinstance(item, Ball | Ellipse) else points.mean(axis=0)
        first, *others = self._tools.views
        normal = np.cross(item.right_ct, item.down_ct)
        off_plane = np.abs((points - middle) @ first.axes_ct[2]).max()
        if off_plane > 0.5 and abs(float(normal @ first.axes_ct[2])) < 0.9999:
            first.look(middle, item.right_ct, item.down_ct)
        else:
            go_through(first, middle)
        for view in others:
            go_through(view, middle)
        if isinstance(item, Curve):
            self._show_curve(item)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow which slice is meant, and the size of the one that a curve covers."""
        if event is not None and isinstance(watched, BrowsableSlice):
            kind = event.type()
            if kind in (QEvent.Type.Enter, QEvent.Type.FocusIn, QEvent.Type.MouseButtonPress):
                self.select_view(watched)
            elif kind == QEvent.Type.Resize and watched is self.curve.parent():
                self.curve.setGeometry(watched.rect())
        return False

    def _make_tools(self) -> tuple[tuple[str, str, SliceTool], ...]:
        """Sign, key and tool, in the bar's order."""
        notes = self.annotations

        def tool(
            name: str,
            kind: type[Annotation],
            finished: Callable[[Annotation, BrowsableSlice], None] | None = None,
        ) -> MeasureTool:
            return MeasureTool(name, kind, notes, finished)

        return (
            ("cross", "X", CrossTool(self._tools, self.lines)),
            ("probe", "H", tool("Point", Probe)),
            ("distance", "D", tool("Distance", Distance)),
            ("angle", "A", tool("Angle", Angle)),
            ("ellipse", "O", tool("Ellipse", Ellipse)),
            ("polygon", "P", tool("Area", Polygon)),
            ("ball", "V", tool("Ball", Ball)),
            ("arrow", "N", tool("Note", Arrow, self._ask_note)),
            ("curve", "G", tool("Curve", Curve, self._take_curve)),
        )

    def _set_window(self, window: float, level: float) -> None:
        view = self._tools.views[0]
        view.set_window(window, level)
        # The page gives it to its other slices and remembers it.
        view.windowed.emit(window, level)

    def _keep(self) -> None:
        write_hanging(self._desk.settings, self._hanging)
        self.hung.emit()

    def _ask_note(self, item: Annotation, view: BrowsableSlice) -> None:
        at = view.to_view(points_of(item)[-1])
        self._note = NoteEditor(
            view, lambda words: self.annotations.add(item.model_copy(update={"name": words}))
        )
        self._note.move(
            int(min(max(at[0], 4.0), max(view.width() - self._note.width() - 4, 4))),
            int(min(max(at[1] + 6.0, 4.0), max(view.height() - self._note.height() - 4, 4))),
        )
        self._note.show()
        self._note.setFocus()

    def _take_curve(self, item: Annotation, view: BrowsableSlice) -> None:
        self.annotations.add(item)
        self._show_curve(item)

    def _show_curve(self, item: Annotation) -> None:
        volume = self._volume
        if volume is None:
            return
        if self._desk.attempt(lambda: self.curve.show_curve(volume, points_of(item))):
            self.curve.set_window(*self._tools.views[0].window_level_hu)
            self.curve.setGeometry(self._tools.views[-1].rect())
            self.curve.show()
            self.curve.raise_()

    def _go_through_all(self, point_ct_mm: np.ndarray) -> None:
        for view in self._tools.views:
            go_through(view, point_ct_mm)


class NoteEditor(QLineEdit):
    """Takes the words of a note in the slice; Escape drops the note."""

    def __init__(self, view: BrowsableSlice, done: Callable[[str], object]) -> None:
        super().__init__(view)
        self._done: Callable[[str], object] | None = done
        self.setObjectName("note_words")
        self.setAccessibleName("Words of the note")
        self.setPlaceholderText("Words, then Enter")
        self.setMaxLength(200)
        self.setFixedWidth(220)
        self.returnPressed.connect(self._finish)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() == Qt.Key.Key_Escape:
            self.clear()
            self._finish()
            return
        super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        """Whoever clicks elsewhere has finished writing."""
        super().focusOutEvent(event)
        self._finish()

    def _finish(self) -> None:
        done, self._done = self._done, None
        if done is None:
            return
        words = self.text().strip()
        slice_view = self.parentWidget()
        if slice_view is not None and self.hasFocus():
            slice_view.setFocus()
        self.hide()
        self.deleteLater()
        if words:
            done(words)

"""Tools for the mouse over slices: what one is, and which of them a page's slices use.

A page has one `SliceTools` for its slices. `use(tool)` hands the mouse, the wheel and the keys of
all of them to the tool; whatever it leaves alone (returns False) does what it does without one.
Layers are drawn over every slice, tool or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from PyQt6.QtCore import QObject, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QMouseEvent, QPainter, QWheelEvent

from ir_nav.geometry import FloatArray

if TYPE_CHECKING:
    from ir_nav.gui.slice_mouse import BrowsableSlice
    from ir_nav.gui.slice_view import SliceView


@dataclass(frozen=True, slots=True, eq=False)
class Pointer:
    """The pointer over a slice. at_px: painter position. point_ct_mm: (3,) on the view's plane.

    button: the one that was pressed or let go; NoButton while it moves. held: what is down.
    """

    view: BrowsableSlice
    at_px: QPointF
    point_ct_mm: FloatArray
    button: Qt.MouseButton = Qt.MouseButton.NoButton
    held: Qt.MouseButton = Qt.MouseButton.NoButton
    modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier

    @property
    def left(self) -> bool:
        """Whether this is about the left button."""
        return self.button == Qt.MouseButton.LeftButton

    @property
    def shift(self) -> bool:
        return bool(self.modifiers & Qt.KeyboardModifier.ShiftModifier)

    @property
    def control(self) -> bool:
        return bool(self.modifiers & Qt.KeyboardModifier.ControlModifier)


class SliceLayer(Protocol):
    """Something drawn over slices. Painted at every paint of every slice: keep it cheap."""

    def paint(self, painter: QPainter, view: SliceView) -> None:
        """Draw with `view.to_view(point_ct_mm)`, which gives px and the depth off the plane."""


class SliceTool(SliceLayer, Protocol):
    """A tool of the mouse. Every method that returns a bool: whether the tool took the event."""

    @property
    def name(self) -> str:
        """In words, as the bar and the status show it: 'Distance'."""

    @property
    def cursor(self) -> Qt.CursorShape: ...

    def press(self, pointer: Pointer) -> bool: ...

    def move(self, pointer: Pointer) -> bool:
        """Also without a button held."""

    def release(self, pointer: Pointer) -> bool: ...

    def double_click(self, pointer: Pointer) -> bool: ...

    def wheel(self, pointer: Pointer, notches: float) -> bool:
        """notches: positive away from the user."""

    def key(self, view: BrowsableSlice, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        """Escape that is left alone puts the tool away."""

    def claims(self, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        """Whether this key goes to the tool even where it is one of the window's keys."""

    def leave(self) -> None:
        """The tool is put away: drop what is half done."""


class PlainTool:
    """A tool that leaves every event alone; tools override what they take."""

    name = ""
    cursor = Qt.CursorShape.CrossCursor

    def press(self, pointer: Pointer) -> bool:
        return False

    def move(self, pointer: Pointer) -> bool:
        return False

    def release(self, pointer: Pointer) -> bool:
        return False

    def double_click(self, pointer: Pointer) -> bool:
        return False

    def wheel(self, pointer: Pointer, notches: float) -> bool:
        return False

    def key(self, view: BrowsableSlice, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        return False

    def claims(self, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        return False

    def leave(self) -> None:
        """Nothing is half done."""

    def paint(self, painter: QPainter, view: SliceView) -> None:
        """Nothing to draw."""


class SliceTools(QObject):
    """The one tool in use on a page's slices, and the layers over them.

    changed: the tool, or None when it was put away.
    """

    changed = pyqtSignal(object)

    def __init__(self, views: Sequence[BrowsableSlice]) -> None:
        super().__init__()
        self._views = tuple(views)
        self._active: SliceTool | None = None
        self._idle: SliceTool | None = None
        self._layers: tuple[SliceLayer, ...] = ()
        for view in self._views:
            view.set_tools(self)

    @property
    def views(self) -> tuple[BrowsableSlice, ...]:
        return self._views

    @property
    def active(self) -> SliceTool | None:
        return self._active

    def use(self, tool: SliceTool | None) -> None:
        """Take up a tool in place of the one at hand; None puts it away."""
        if tool is self._active:
            return
        before, self._active = self._active, tool
        if before is not None:
            before.leave()
        for view in self._views:
            view.show_cursor()
        self.changed.emit(tool)
        self.repaint()

    def use_when_idle(self, tool: SliceTool | None) -> None:
        """What takes hold of things in the slices while no tool is in use."""
        self._idle = tool

    def add_layer(self, layer: SliceLayer) -> None:
        """Draw this over every slice from now on, above what was added before."""
        self._layers = (*self._layers, layer)
        self.repaint()

    def remove_layer(self, layer: SliceLayer) -> None:
        """Draw it no longer."""
        self._layers = tuple(kept for kept in self._layers if kept is not layer)
        self.repaint()

    def repaint(self) -> None:
        """What a tool or a layer shows has changed."""
        for view in self._views:
            view.update()

    def paint(self, painter: QPainter, view: SliceView) -> None:
        """Draw the layers and, over them, the tool."""
        for layer in self._layers:
            layer.paint(painter, view)
        if self._active is not None:
            self._active.paint(painter, view)

    def press(self, view: BrowsableSlice, event: QMouseEvent) -> bool:
        tool = self._taking
        return tool is not None and tool.press(pointer_of(view, event))

    def move(self, view: BrowsableSlice, event: QMouseEvent) -> bool:
        tool = self._taking
        return tool is not None and tool.move(pointer_of(view, event))

    def release(self, view: BrowsableSlice, event: QMouseEvent) -> bool:
        tool = self._taking
        return tool is not None and tool.release(pointer_of(view, event))

    def double_click(self, view: BrowsableSlice, event: QMouseEvent) -> bool:
        tool = self._taking
        return tool is not None and tool.double_click(pointer_of(view, event))

    def wheel(self, view: BrowsableSlice, event: QWheelEvent) -> bool:
        tool = self._taking
        if tool is None:
            return False
        at = event.position()
        pointer = Pointer(
            view, at, view.to_ct(at), held=_held(event.buttons()), modifiers=event.modifiers()
        )
        return tool.wheel(pointer, event.angleDelta().y() / 120.0)

    def key(self, view: BrowsableSlice, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        """Escape ends the tool unless the tool has a use for it."""
        if self._active is not None:
            if self._active.key(view, key, modifiers):
                return True
            if key == Qt.Key.Key_Escape:
                self.use(None)
                return True
        return self._idle is not None and self._idle.key(view, key, modifiers)

    def claims(self, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        """Whether the tool wants a key that is one of the window's otherwise."""
        tools = [tool for tool in (self._active, self._idle) if tool is not None]
        return any(tool.claims(key, modifiers) for tool in tools)

    @property
    def _taking(self) -> SliceTool | None:
        """Who is asked first about the mouse."""
        return self._active if self._active is not None else self._idle


def pointer_of(view: BrowsableSlice, event: QMouseEvent) -> Pointer:
    """The pointer as a mouse event has it."""
    at = event.position()
    return Pointer(
        view, at, view.to_ct(at), event.button(), _held(event.buttons()), event.modifiers()
    )


def _held(buttons: Qt.MouseButton) -> Qt.MouseButton:
    for button in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton):
        if buttons & button:
            return button
    return Qt.MouseButton.NoButton

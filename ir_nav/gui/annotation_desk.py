"""The annotations of the CT at hand, as the page's tools, layer and list share them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from ir_nav.gui.annotation_paint import AnnotationLayer
from ir_nav.gui.slice_tools import SliceTools
from ir_nav.session.annotations import Annotation, AnnotationBook

Attempt = Callable[[Callable[[], object]], bool]


class AnnotationDesk(QObject):
    """changed: the items or which of them is selected. attempt: runs a command and says what
    goes wrong."""

    changed = pyqtSignal()

    def __init__(self, tools: SliceTools, attempt: Attempt, folder: Path | None = None) -> None:
        super().__init__()
        self._tools = tools
        self._attempt = attempt
        self._selected: str | None = None
        self._preview: Annotation | None = None
        self.was_last = False
        self.book = AnnotationBook(folder, self._note)
        self.layer = AnnotationLayer(lambda: self.items, lambda: self._selected)
        tools.add_layer(self.layer)

    @property
    def items(self) -> tuple[Annotation, ...]:
        """What is drawn: one that is being moved stands where the pointer has it."""
        moving = self._preview
        if moving is None:
            return self.book.items
        return tuple(moving if item.id == moving.id else item for item in self.book.items)

    @property
    def selected(self) -> str | None:
        """Id of the selected one."""
        return self._selected

    def open(self, ct_identity: str | None) -> None:
        """Take up another CT's annotations."""
        self._selected, self.was_last = None, False
        self._attempt(lambda: self.book.open(ct_identity))

    def add(self, item: Annotation) -> None:
        """Add one, and select it."""
        self._selected, self.was_last = item.id, True
        self._attempt(lambda: self.book.add(item))

    def replace(self, item: Annotation) -> None:
        """Put a changed one in its place."""
        self.was_last = True
        self._attempt(lambda: self.book.replace(item))

    def delete_selected(self) -> None:
        """Remove the selected one."""
        gone, self._selected = self._selected, None
        if gone is not None:
            self.was_last = True
            self._attempt(lambda: self.book.delete(gone))

    def undo(self) -> None:
        """Take back the last change."""
        self._attempt(self.book.undo)
        self.was_last = self.book.can_undo

    def redo(self) -> None:
        """Make it again."""
        self._attempt(self.book.redo)

    def select(self, item_id: str | None) -> None:
        """Select one, or none."""
        if item_id != self._selected:
            self._selected = item_id
            self._note()

    def select_quietly(self, item_id: str) -> None:
        """Select one from the list, which shows it already."""
        self._selected = item_id
        self.repaint()

    def run(self, command: Callable[[], object]) -> None:
        """Run a command on the book, and say what goes wrong."""
        self._attempt(command)

    def preview(self, item: Annotation | None) -> None:
        """Draw one where it is being moved to."""
        self._preview = item
        self.repaint()

    def repaint(self) -> None:
        self._tools.repaint()

    def _note(self) -> None:
        self.repaint()
        self.changed.emit()

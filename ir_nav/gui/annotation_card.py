"""The list of annotations: go to one, rename it, delete, undo, copies to and from files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QListWidget, QListWidgetItem

from ir_nav.gui.annotation_desk import AnnotationDesk
from ir_nav.gui.annotation_words import KIND_WORDS, value_words
from ir_nav.gui.files import ask_file, ask_save
from ir_nav.gui.forms import Card, button
from ir_nav.imaging import Volume
from ir_nav.session.annotations import Annotation, Arrow

FILES = "Annotations (*.json);;All files (*)"
ROWS_SHOWN = 4
ROW_PX = 30
ID_ROLE = Qt.ItemDataRole.UserRole


class _List(QListWidget):
    """Delete removes the selected one."""

    delete_asked = pyqtSignal()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.delete_asked.emit()
            return
        super().keyPressEvent(event)


class AnnotationCard(Card):
    """Hidden while there is nothing to list. chosen: the one to go to."""

    chosen = pyqtSignal(object)

    def __init__(self, desk: AnnotationDesk, folder: Callable[[], str]) -> None:
        super().__init__("Measurements and notes")
        self.setProperty("card", "annotations")
        self._desk = desk
        self._folder = folder
        self._volume: Volume | None = None
        self._filling = False
        self.list = _List()
        self.list.setObjectName("annotations")
        self.list.setAccessibleName("Measurements and notes; Enter goes to one")
        self.list.itemActivated.connect(self._go)
        self.list.itemClicked.connect(self._go)
        self.list.itemChanged.connect(self._rename)
        self.list.currentItemChanged.connect(self._select)
        self.list.delete_asked.connect(desk.delete_selected)
        self.add(self.list)
        self.add_row(
            button("rename_annotation", "Rename", self.rename, kind="small", tip="F2"),
            button("delete_annotation", "Delete", desk.delete_selected, kind="small", tip="Del"),
            button("undo_annotation", "Undo", desk.undo, kind="small", tip="Ctrl+Z in a slice"),
        )
        self.add_row(
            button("save_annotations", "Save a copy …", self.ask_copy, kind="small"),
            button("load_annotations", "Take from file …", self.ask_file, kind="small"),
        )
        desk.changed.connect(self.fill)
        self.fill()

    def follow(self, volume: Volume | None) -> None:
        """Measure in this volume from now on."""
        if volume is not self._volume:
            self._volume = volume
            self.fill()

    def fill(self) -> None:
        """List what there is now."""
        book = self._desk.book
        self.setVisible(bool(book.items) or book.can_undo)
        self._filling = True
        self.list.clear()
        for item in book.items:
            row = QListWidgetItem(self._words(item))
            row.setData(ID_ROLE, item.id)
            row.setFlags(row.flags() | Qt.ItemFlag.ItemIsEditable)
            self.list.addItem(row)
            if item.id == self._desk.selected:
                self.list.setCurrentItem(row)
        if self._desk.selected is None:
            self.list.setCurrentRow(-1)
        shown = min(max(len(book.items), 1), ROWS_SHOWN)
        self.list.setFixedHeight(shown * ROW_PX + 8)
        self._filling = False

    def rename(self) -> None:
        """Write the selected one's name in its row."""
        row = self.list.currentItem()
        item = self._item(row)
        if row is None or item is None:
            return
        self._filling = True
        row.setText(item.name)
        self._filling = False
        self.list.editItem(row)

    def ask_copy(self) -> None:
        """Ask where to write a copy."""
        name = str(Path(self._folder()) / "annotations.json")
        ask_save(self, "Save a copy", name, FILES, self.save_to)

    def ask_file(self) -> None:
        """Ask for a file of annotations of this CT."""
        ask_file(self, "Take annotations", self._folder(), FILES, self.load_from)

    def save_to(self, path: Path) -> None:
        self._desk.run(lambda: self._desk.book.save_to(path))

    def load_from(self, path: Path) -> None:
        self._desk.run(lambda: self._desk.book.load_from(path))

    def _words(self, item: Annotation) -> str:
        kind = KIND_WORDS[item.kind]
        if isinstance(item, Arrow) or self._volume is None:
            return f"{kind}  {item.name}".rstrip()
        measured = self._desk.layer.measured(item, self._volume)
        words = value_words(measured)
        if measured.statistics is not None:
            words += f" · mean {measured.statistics.mean_hu:.0f}".replace("-", "−")
        return f"{item.name or kind}  {words}"

    def _item(self, row: QListWidgetItem | None) -> Annotation | None:
        return None if row is None else self._desk.book.find(row.data(ID_ROLE))

    def _go(self, row: QListWidgetItem) -> None:
        item = self._item(row)
        if item is not None:
            self._desk.select(item.id)
            self.chosen.emit(item)

    def _select(self, row: QListWidgetItem | None) -> None:
        item = self._item(row)
        if not self._filling and item is not None and item.id != self._desk.selected:
            self._desk.select_quietly(item.id)

    def _rename(self, row: QListWidgetItem) -> None:
        item = self._item(row)
        if self._filling or item is None:
            return
        name = row.text().strip()[:200]
        if name != item.name:
            self._desk.replace(item.model_copy(update={"name": name}))
        else:
            self.fill()

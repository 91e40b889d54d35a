"""The structures being worked on, their history, and how views and planning get them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from ir_nav.gui.case_look import aimed_at, filled
from ir_nav.gui.desk import Desk
from ir_nav.gui.notice import Mood
from ir_nav.gui.scene_records import CaseImages
from ir_nav.gui.structure_look import hidden_at_first, imported
from ir_nav.imaging import ImagingError, LabelMap, Volume
from ir_nav.imaging.labels import canonical
from ir_nav.imaging.segmentation import (
    History,
    Origin,
    Segment,
    Segmentation,
    smoothed,
)
from ir_nav.imaging.segmentation.segments import Corner
from ir_nav.imaging.structures import Structure
from ir_nav.imaging.volume import BoolArray
from ir_nav.session.case import Case

# Planning and the 3D view are worked out anew once the hand has rested for so long.
REST_MS = 1200
SMOOTHING_MM = 1.0


class StructureDesk(QObject):
    """changed: the list, what is selected or what is hidden. drawn: the label map for the views.
    added: the Segment that a tool has made."""

    changed = pyqtSignal()
    drawn = pyqtSignal()
    added = pyqtSignal(object)

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._volume: Volume | None = None
        self._labels: LabelMap | None = None
        self._flat: tuple[Segmentation, LabelMap] | None = None
        self._flattening = False
        self._touched: object | None = None
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._hand_over)
        self.history: History | None = None
        self.hidden: frozenset[int] = frozenset()
        self.selected: int | None = None

    @property
    def volume(self) -> Volume | None:
        return self._volume

    @property
    def segments(self) -> tuple[Segment, ...]:
        return () if self.history is None else self.history.now.segments

    @property
    def selected_segment(self) -> Segment | None:
        if self.history is None or self.selected is None:
            return None
        return self.history.now.numbered(self.selected)

    @property
    def unflattened(self) -> tuple[Segment, ...]:
        """What the views' label map does not show yet: to be drawn over them."""
        if self.history is None or (self._flat and self._flat[0] is self.history.now):
            return ()
        shown = {} if self._flat is None else {s.number: s for s in self._flat[0].segments}
        return tuple(
            item
            for item in self.history.now.segments
            if item.number not in self.hidden and shown.get(item.number) is not item
        )

    def follow(self, case: Case) -> None:
        """Take up another case, or labels that came from elsewhere."""
        if case.volume is self._volume and case.labels is self._labels:
            return
        self._volume, self._labels = case.volume, case.labels
        self.history, self._flat = None, None
        self.hidden, self.selected = frozenset(), None
        self._rest.stop()
        volume, labels = case.volume, case.labels
        if volume is not None:
            k, j, i = volume.voxels.shape
            self.history = History(Segmentation((k, j, i), volume.ct_from_voxel))
        self.changed.emit()
        if volume is not None and labels is not None:
            self._desk.worker.submit(
                "Reading structures",
                lambda _: (labels, imported(labels)),
                self._take_labels,
                quiet=True,
            )

    def images(self, images: CaseImages) -> CaseImages:
        """The case's images with these structures' outlines in place of its own."""
        if self._flat is None:
            return images
        segmentation, labels = self._flat
        shown = tuple(
            (item.number, item.colour)
            for item in segmentation.segments
            if item.number not in self.hidden
        )
        return replace(
            images, labels=labels, outlined=shown, bold=aimed_at(labels), filled=filled(labels)
        )

    def select(self, number: int | None) -> None:
        """What the brush, smoothing and deleting are for."""
        if number != self.selected:
            self.selected = number
            self.changed.emit()

    def show_segment(self, number: int, visible: bool) -> None:
        """Draw its outline or not."""
        hidden = self.hidden - {number} if visible else self.hidden | {number}
        if hidden != self.hidden:
            self.hidden = hidden
            self.changed.emit()
            self.drawn.emit()

    def add(self, name: str, colour: str, corner_kji: Corner, part: BoolArray) -> None:
        """Put a drawn structure into the list, under a free name, and select it."""
        if self.history is None:
            return
        now = self.history.now
        structure = Structure(now.free_number(), now.free_name(name), part, corner_kji)
        segment = Segment(structure, colour, Origin.DRAWN)
        self._step(
            f"Add {segment.display_name}", lambda history, words: history.put(words, segment)
        )
        self.select(segment.number)
        self.added.emit(segment)

    def change(self, words: str, segment: Segment) -> None:
        """Put a segment in the place of the one of its number."""
        self._step(words, lambda history, said: history.put(said, segment))

    def put_new(self, words: str, segments: tuple[Segment, ...], *, instead: bool = False) -> None:
        """Add segments under free numbers. instead: in the place of those of the same name;
        else under a free name."""
        if self.history is None:
            return
        now, new = self.history.now, []
        number = now.free_number()
        for item in segments:
            known = now.named(item.name)
            if known is not None and instead:
                structure = replace(item.structure, number=known.number, name=known.name)
            else:
                structure = replace(item.structure, number=number, name=now.free_name(item.name))
                number += 1
            new.append(replace(item, structure=structure))
        self._move_to(self.history.put(words, *new))

    def smooth(self) -> None:
        """A smoother surface for the selected structure."""
        segment = self._selected()
        if segment is not None and self.history is not None:
            new = smoothed(self.history.now, segment, SMOOTHING_MM)
            self.change(f"Smooth {segment.display_name}", new)

    def delete(self) -> None:
        """Take the selected structure out of the list."""
        segment = self._selected()
        if segment is not None:
            number = segment.number
            self._step(f"Delete {segment.display_name}", lambda h, words: h.remove(words, number))

    def rename(self, number: int, name: str) -> None:
        """Give a structure another name; refused in words when it is taken or empty."""
        segment = None if self.history is None else self.history.now.numbered(number)
        if segment is None or self.history is None or segment.name == name.strip():
            return
        known = self.history.now.named(name)
        if not canonical(name) or (known is not None and known is not segment):
            why = (
                "a structure needs a name" if not canonical(name) else f"'{name}' is there already"
            )
            self._desk.report(ImagingError(why))
            self.changed.emit()
            return
        self._desk.attempt(lambda: self.change(f"Rename {segment.name}", segment.renamed(name)))

    def undo(self) -> None:
        if self.history is not None:
            self._move_to(self.history.undo())

    def redo(self) -> None:
        if self.history is not None:
            self._move_to(self.history.redo())

    def owns_undo(self) -> bool:
        """Whether the last thing done was done here, not to the plan."""
        return bool(self.history and self.history.past) and (
            self._touched is self._desk.session.planning.now
        )

    def _step(self, words: str, act: Callable[[History, str], History]) -> None:
        history = self.history
        if history is not None:
            self._move_to(act(history, words))

    def _move_to(self, history: History) -> None:
        if history is self.history:
            return
        self.history = history
        self._touched = self._desk.session.planning.now
        if self.selected_segment is None:
            self.selected = None
        self._rest.start()
        self.changed.emit()
        self.drawn.emit()
        self._flatten()

    def _selected(self) -> Segment | None:
        segment = self.selected_segment
        if segment is None:
            self._desk.banner.say("Choose a structure in the list first", Mood.REFUSED)
        return segment

    def _take_labels(self, read: tuple[LabelMap, Segmentation]) -> None:
        labels, segmentation = read
        if labels is not self._labels or self.history is None:
            return
        # What was drawn while it was read stays, on top of it.
        drawn = self.history.now.segments
        self.history = History(segmentation)
        self.hidden = hidden_at_first(segmentation, labels)
        for item in drawn:
            self.put_new("Keep", (item,))
        self.changed.emit()
        self._flatten()

    def _flatten(self) -> None:
        """Work out the label map of the views, one at a time."""
        if self._flattening or self.history is None:
            return
        self._flattening = True
        now, volume = self.history.now, self._volume
        self._desk.worker.submit(
            "Drawing structures",
            lambda _: (volume, now, now.label_map()),
            self._take_flat,
            quiet=True,
        )

    def _take_flat(self, flat: tuple[Volume | None, Segmentation, LabelMap]) -> None:
        self._flattening = False
        if self.history is None:
            return
        if flat[0] is not self._volume:
            self._flatten()
            return
        self._flat = flat[1:]
        self.drawn.emit()
        if flat[1] is not self.history.now:
            self._flatten()

    def _hand_over(self) -> None:
        """Give planning, the 3D view and the other pages the structures as they are now."""
        if self.history is None:
            return
        if self._flat is None or self._flat[0] is not self.history.now:
            self._rest.start()
            return
        labels = self._flat[1]
        self._labels = labels
        self._desk.attempt(lambda: self._desk.session.set_labels(labels), keep_banner=True)

"""Fluoro views side by side, small; one of them can be chosen."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
from PyQt6.QtCore import QSize
from PyQt6.QtGui import QIcon, QPixmap
from PyQt6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from ir_nav.gui import theme
from ir_nav.gui.forms import button
from ir_nav.gui.live_frame import to_grey
from ir_nav.gui.paint import grey_image
from ir_nav.session.fluoro_registering import MOST_VIEWS
from ir_nav.session.fluoro_views import TakenView

THUMB_PX = 48


class ViewStrip(QWidget):
    """chosen: the view to look at, None for the live image."""

    def __init__(self) -> None:
        super().__init__()
        self.chosen: TakenView | None = None
        self._views: tuple[TakenView, ...] = ()
        self._thumbs = [self._thumb(index) for index in range(MOST_VIEWS)]
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.FRAME)
        for thumb in self._thumbs:
            row.addWidget(thumb)
        row.addStretch(1)
        self.hide()

    @property
    def chosen_index(self) -> int | None:
        """Which view is chosen, counted from 0, or None."""
        return next((n for n, one in enumerate(self._views) if one is self.chosen), None)

    def follow(self, views: tuple[TakenView, ...]) -> None:
        """Show these views."""
        if views != self._views:
            self._views = views
            self.setVisible(bool(views))
            for index, thumb in enumerate(self._thumbs):
                thumb.setVisible(index < len(views))
                if index < len(views):
                    thumb.setIcon(thumbnail(views[index]))
        if self.chosen_index is None:
            self.chosen = None
        self._mark()

    def _choose(self, index: int) -> None:
        if index < len(self._views):
            chosen = self._views[index]
            self.chosen = None if chosen is self.chosen else chosen
        self._mark()

    def _mark(self) -> None:
        for index, thumb in enumerate(self._thumbs):
            thumb.setChecked(index == self.chosen_index)

    def _thumb(self, index: int) -> QPushButton:
        made = button(
            f"fluoro_view_{index + 1}", "", partial(self._choose, index), kind="small",
            checkable=True, tip="Show this view; once more: the live image",
        )  # fmt: skip
        made.setAccessibleName(f"View {index + 1}")
        made.setIconSize(QSize(THUMB_PX, THUMB_PX))
        made.setFixedSize(THUMB_PX + 10, THUMB_PX + 10)
        made.setStyleSheet("padding: 0; min-height: 0;")
        made.hide()
        return made


def thumbnail(view: TakenView) -> QIcon:
    """The whole frame, small."""
    grey = to_grey(view.sample.pixels)
    scale = THUMB_PX / max(grey.shape)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    small = np.ascontiguousarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    return QIcon(QPixmap.fromImage(grey_image(small).copy()))

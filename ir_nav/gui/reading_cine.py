"""Cine: a slice view runs through its slices by itself."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QObject, Qt, QTimer, pyqtSignal

from ir_nav.gui.slice_mouse import BrowsableSlice

SLOWEST_HZ, FASTEST_HZ = 1.0, 40.0
SPEED_STEP = 1.5


class Cine(QObject):
    """Steps one view forth and back. changed: playing or its speed."""

    changed = pyqtSignal()

    def __init__(self, rate_hz: float = 10.0) -> None:
        super().__init__()
        self._view: BrowsableSlice | None = None
        self._way = 1
        self.rate_hz = min(max(rate_hz, SLOWEST_HZ), FASTEST_HZ)
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.step)

    @property
    def playing(self) -> bool:
        return self._view is not None

    def play(self, view: BrowsableSlice) -> None:
        """Start on a view."""
        if view.volume is None:
            return
        self._view = view
        self._timer.start(round(1000.0 / self.rate_hz))
        self.changed.emit()

    def stop(self) -> None:
        """Stay where it is."""
        self._timer.stop()
        if self._view is not None:
            self._view = None
            self.changed.emit()

    def faster(self, times: float) -> None:
        """Change the speed by a factor, from 1 to 40 slices a second."""
        self.rate_hz = min(max(self.rate_hz * times, SLOWEST_HZ), FASTEST_HZ)
        self._timer.setInterval(round(1000.0 / self.rate_hz))
        self.changed.emit()

    def step(self) -> None:
        """One slice on; at the images' end the other way. Ends when the view is put away."""
        view = self._view
        if view is None or view.volume is None or not view.isVisible():
            self.stop()
            return
        before = view.centre_ct_mm
        view.step(self._way)
        if not _inside(view):
            view.look(before)
            self._way = -self._way
            view.step(self._way)
            if not _inside(view):
                view.look(before)
                self.stop()


def _inside(view: BrowsableSlice) -> bool:
    """Whether the view's plane cuts the volume."""
    volume = view.volume
    if volume is None:
        return False
    normal = view.axes_ct[2]
    half = np.array(volume.size_ijk) - 1.0
    reach = float(np.abs(normal @ volume.ct_from_voxel[:3, :3]) @ half) / 2.0
    return abs(float((view.centre_ct_mm - volume.centre_ct_mm) @ normal)) <= reach

"""What the main window asks of a page."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QRect, Qt
from PyQt6.QtWidgets import QWidget

from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.scene_records import CaseImages
from ir_nav.gui.scene_view import SceneView
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.gui.slice_view import SliceView
from ir_nav.session.state import NavigationState


class Pace:
    """Lets something happen at most so often."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._last_s = float("-inf")

    def due(self, now_s: float) -> bool:
        """Whether it is time again; counts from the last time it was."""
        if now_s - self._last_s < self._period_s and now_s >= self._last_s:
            return False
        self._last_s = now_s
        return True


class Page(QWidget):
    """A step's screen. `show_state` is called at every tick while the page is the current one."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.session = desk.session
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.side: QWidget | None = None
        self._images: CaseImages | None = None

    def show_state(self, state: NavigationState) -> None:
        """Draw the state."""

    def opened(self) -> None:
        """The user came to this page."""

    def set_small(self, small: bool) -> None:
        """Fit a small screen: a narrower side column."""
        if self.side is not None:
            self.side.setFixedWidth(theme.SIDE_WIDTH_SMALL if small else theme.SIDE_WIDTH)

    def image_area(self) -> QRect:
        """Where images are, in the page: messages lie there, not over what they speak of."""
        area = self.rect()
        if self.side is not None and self.side.isVisible():
            area.setRight(self.side.x() - theme.GAP)
        return area

    def follow_case(self, slices: Sequence[SliceView], scene: SceneView | None = None) -> bool:
        """Give the views the session's CT when it has changed; whether it had."""
        look = self.desk.look
        if scene is not None:
            scene.set_surfaces(look.surfaces)
        if look.images is self._images:
            return False
        self._images = look.images
        for view in slices:
            view.set_images(look.images)
        return True

    def share_window(self, slices: Sequence[BrowsableSlice]) -> None:
        """One window and level for all of the page's slices."""

        def spread(window_hu: float, level_hu: float) -> None:
            for view in slices:
                view.set_window(window_hu, level_hu)
            self.desk.remember_window(window_hu, level_hu)

        for view in slices:
            view.set_window(*self.desk.window_level_hu())
            view.windowed.connect(spread)


def gap_margins() -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a page."""
    return theme.GAP, theme.GAP, theme.GAP, theme.GAP

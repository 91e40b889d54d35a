"""Review: the log just written, planned against achieved."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtWidgets import QHBoxLayout, QVBoxLayout

from ir_nav.gui import theme
from ir_nav.gui.bullseye import view_basis
from ir_nav.gui.desk import Desk
from ir_nav.gui.files import LOGS, PDFS, ask_file, ask_save
from ir_nav.gui.forms import Card, Facts, SideColumn, button, label
from ir_nav.gui.needle_planes import along_axes
from ir_nav.gui.notice import Mood
from ir_nav.gui.pages.base import Page, gap_margins
from ir_nav.gui.scene_records import Overlays, path_overlays
from ir_nav.gui.scene_view import SceneView
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.gui.timeline import Timeline, timeline_of
from ir_nav.planning import PlannedPath
from ir_nav.recording import LogContents, read_log
from ir_nav.review import Review, review, write_report
from ir_nav.session.state import NavigationState

RESULTS = ("Lateral", "Depth", "Angle", "Entry")
SHARES = ("Guided for", "Guidance valid", "Averaged over", "Predicted at target", "Samples")


class ReviewPage(Page):
    """Slices through both needles and the timeline at the left, the figures at the right."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.along = BrowsableSlice("Planned and achieved", "along the path", field_mm=200.0)
        self.across = BrowsableSlice("Across the target", "down the path", field_mm=120.0)
        self.slices = (self.along, self.across)
        self.scene = SceneView(desk.scene)
        self.timeline = Timeline()
        self._headline = label("No log is open", "title", name="review_headline")
        self._plan = label("", "note")
        self._results = Facts(RESULTS)
        self._shares = Facts(SHARES)
        self._log: LogContents | None = None
        self._review: Review | None = None
        self._overlays = Overlays()
        self._build()
        self.share_window(self.slices)

    def _build(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(theme.GAP)
        for view in (self.along, self.across, self.scene):
            top.addWidget(view, 1)
        left = QVBoxLayout()
        left.setSpacing(theme.GAP)
        left.addLayout(top, 3)
        left.addWidget(self.timeline, 2)
        achieved = Card("Achieved against planned")
        achieved.add(self._headline, self._plan, self._results)
        shares = Card("How well it was seen")
        shares.add(self._shares)
        files = Card()
        files.add_row(
            button("open_log", "Open log", self.open_log),
            button("review_current", "This procedure", self.review_current),
        )
        files.add(button("save_report", "Save report (PDF)", self.save_report, kind="primary"))
        side = SideColumn()
        side.add(achieved, shares)
        side.end()
        side.add_foot(files)
        page = QHBoxLayout(self)
        page.setContentsMargins(*gap_margins())
        page.setSpacing(theme.GAP)
        page.addLayout(left, 1)
        page.addWidget(side)
        self.side = side

    def opened(self) -> None:
        self._aim()
        if self.session.journal.log is not None:
            self.review_current()

    def show_state(self, state: NavigationState) -> None:
        if self.follow_case(self.slices, self.scene):
            self._aim()
        self.scene.show_overlays(self._overlays)

    def open_log(self) -> None:
        """Ask for a needle log."""
        ask_file(self, "Open log", self.desk.folder("log"), LOGS, self.load)

    def review_current(self) -> None:
        """Work out the log that is being written."""
        log = self.session.journal.log
        if log is None:
            self.desk.banner.say("No log is being written: open one", Mood.REFUSED)
            return
        self.load(log.path)

    def load(self, path: Path) -> None:
        """Read a log on the worker and show it."""
        self.desk.remember_folder("log", path)

        def work(_progress: object) -> tuple[LogContents, Review]:
            log = read_log(path)
            return log, review(log)

        self.desk.worker.submit(f"Reading {path.name}", work, self._take)

    def save_report(self) -> None:
        """Ask where to write the PDF."""
        if self._review is None:
            self.desk.banner.say("Open a log first", Mood.REFUSED)
            return
        name = str(Path(self.desk.folder("report")) / "report.pdf")
        ask_save(self, "Save report", name, PDFS, self.save_to)

    def save_to(self, path: Path) -> None:
        log, result = self._log, self._review
        if log is None or result is None:
            return
        self.desk.remember_folder("report", path)
        self.desk.worker.submit(
            f"Writing {path.name}",
            lambda _: write_report(log, result, path),
            lambda _: self.desk.banner.say(f"Saved {path.name}", Mood.DONE),
        )

    def _take(self, read: tuple[LogContents, Review]) -> None:
        self._log, self._review = read
        log, result = read
        self._headline.setText(f"{result.plan.name}, {result.plan.path.length_mm:.0f} mm path")
        self._plan.setText(log.path.name)
        self._show_results(result)
        self._shares.show_fact("Guided for", _duration(result.guided_s))
        self._shares.show_fact("Guidance valid", f"{result.valid_share:.0%} of the time")
        ticks = 0 if result.achieved is None else result.achieved.ticks
        self._shares.show_fact("Averaged over", f"{ticks} states" if ticks else "")
        self._shares.show_fact("Samples", f"{sum(log.sample_counts.values()):,}")
        tre = result.tre_predicted_mm
        self._shares.show_fact("Predicted at target", "" if tre is None else f"{tre:.1f} mm")
        self.timeline.show_timeline(timeline_of(log))
        self._aim()

    def _show_results(self, result: Review) -> None:
        if result.achieved is None:
            for name in RESULTS:
                self._results.show_fact(name, "")
            return
        placed, entry = result.achieved.placement, result.entry_error_mm
        side = "past" if placed.depth_mm >= 0.0 else "short"
        self._results.show_fact("Lateral", f"{placed.lateral_mm:.1f} mm")
        self._results.show_fact("Depth", f"{abs(placed.depth_mm):.1f} mm {side}")
        self._results.show_fact("Angle", f"{placed.angle_deg:.1f}°")
        self._results.show_fact("Entry", "" if entry is None else f"{entry:.1f} mm")

    def _aim(self) -> None:
        result = self._review
        plan = self.session.plan if result is None else result.plan
        if plan is None:
            return
        path = plan.path
        self._overlays = path_overlays(path)
        achieved = None if result is None else result.achieved
        if achieved is not None:
            hub = achieved.tip_ct_mm - achieved.shaft_ct * path.length_mm
            self._overlays = Overlays(
                target_ct_mm=path.target_ct_mm,
                entry_ct_mm=path.entry_ct_mm,
                achieved=PlannedPath.between(hub, achieved.tip_ct_mm),
            )
        middle = (path.entry_ct_mm + path.target_ct_mm) / 2.0
        self.along.look(middle, *along_axes(path.direction_ct))
        right, up = view_basis(path.direction_ct)
        self.across.look(path.target_ct_mm, right, -up)
        for view in self.slices:
            view.show_overlays(self._overlays)


def _duration(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"

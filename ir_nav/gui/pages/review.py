"""Review: the log just written, planned against achieved."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QHBoxLayout, QListWidget, QVBoxLayout

from ir_nav.gui import theme
from ir_nav.gui.bullseye import view_basis
from ir_nav.gui.desk import Desk, as_sentence
from ir_nav.gui.files import LOGS, PDFS, ask_file, ask_save
from ir_nav.gui.forms import Card, Facts, SideColumn, button
from ir_nav.gui.landmarks_card import mm_words
from ir_nav.gui.needle_planes import along_axes
from ir_nav.gui.notice import Mood
from ir_nav.gui.pages.base import Page, gap_margins
from ir_nav.gui.scene_records import Overlays, path_overlays
from ir_nav.gui.scene_view import SceneView
from ir_nav.gui.slice_mouse import BrowsableSlice
from ir_nav.gui.timeline import Timeline, timeline_of
from ir_nav.gui.verdict import VerdictPanel
from ir_nav.planning import PlannedPath
from ir_nav.recording import Event, EventKind, LogContents, read_log
from ir_nav.review import Review, review, write_report
from ir_nav.session.state import NavigationState

FACTS = (
    "Path",
    "Entry off by",
    "Guided for",
    "Guidance valid",
    "Averaged over",
    "Predicted at target",
    "Data records",
)
EVENTS = 300


class ReviewPage(Page):
    """Slices through both needles and the timeline at the left, the figures at the right."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.along = BrowsableSlice("Planned and achieved", "along the path", field_mm=200.0)
        self.across = BrowsableSlice("Across the target", "down the path", field_mm=120.0)
        self.slices = (self.along, self.across)
        self.scene = SceneView(desk.scene)
        self.timeline = Timeline()
        self._verdict = VerdictPanel()
        self._facts = Facts(FACTS)
        self._events = QListWidget()
        self._events.setObjectName("events")
        self._events.setAccessibleName("Events of the log")
        self._events.setWordWrap(True)
        self._events.setFocusPolicy(Qt.FocusPolicy.TabFocus)
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
        achieved.add(self._verdict)
        facts = Card("How it was done")
        facts.add(self._facts)
        events = Card("Events")
        self._events.setMinimumHeight(96)
        events.column.addWidget(self._events, 1)
        files = Card()
        files.add_row(
            button("open_log", "Open log", self.open_log),
            button("review_current", "This procedure", self.review_current),
        )
        files.add(button("save_report", "Save report (PDF)", self.save_report, kind="primary"))
        side = SideColumn()
        side.add(achieved, facts)
        side.column.addWidget(events, 1)
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
        self._verdict.show_review(result)
        self.timeline.set_title("Distance to the target", f"along the path, {log.path.name}")
        entry, tre = result.entry_error_mm, result.tre_predicted_mm
        ticks = 0 if result.achieved is None else result.achieved.ticks
        values = (
            f"{result.plan.name}, {result.plan.path.length_mm:.0f} mm",
            "" if entry is None else f"{entry:.1f} mm",
            _duration(result.guided_s),
            f"{result.valid_share:.0%} of the time",
            f"{ticks} states" if ticks else "",
            "" if tre is None else mm_words(tre),
            f"{sum(log.sample_counts.values()):,}",
        )
        for name, value in zip(FACTS, values, strict=True):
            self._facts.show_fact(name, value)
        self._events.clear()
        self._events.addItems(event_lines(log)[:EVENTS])
        self.timeline.show_timeline(timeline_of(log))
        self._aim()

    def _aim(self) -> None:
        result = self._review
        plan = self.session.planning.plan if result is None else result.plan
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


def event_lines(log: LogContents) -> list[str]:
    """What happened and when, from the log's start; each change of guidance is on the timeline,
    and the quality of the streams, noted every few seconds, is left to programs."""
    return [
        f"{_clock(event.time_s - log.started_s)}   {_event_words(event)}"
        for event in log.events
        if event.kind not in (EventKind.GUIDANCE, EventKind.QUALITY)
    ]


def _event_words(event: Event) -> str:
    if event.kind is EventKind.MARK:
        return f"Marked: {event.text}"
    if event.kind is EventKind.PLAN:
        return f"Plan approved: {event.text}"
    return as_sentence(event.text)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _duration(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"

"""The console's window: one timer, one state per tick, one page that draws it."""

from __future__ import annotations

import time
from pathlib import Path

from PyQt6.QtCore import QEvent, QSettings, Qt, QTimer
from PyQt6.QtGui import QCloseEvent, QResizeEvent
from PyQt6.QtWidgets import QHBoxLayout, QMainWindow, QVBoxLayout, QWidget

from ir_nav.gui import theme
from ir_nav.gui.bars import Footer, TopBar, freshness
from ir_nav.gui.cards import KeysCover, StartCover
from ir_nav.gui.desk import Desk
from ir_nav.gui.focus_ring import FocusRing
from ir_nav.gui.header import alarm_of, header_of
from ir_nav.gui.keys import bind_keys
from ir_nav.gui.notice import JobBar, Mood
from ir_nav.gui.operator_menu import OperatorMenu
from ir_nav.gui.pages.base import Pace, Page
from ir_nav.gui.pages.guide import GuidePage
from ir_nav.gui.pages.patient import PatientPage
from ir_nav.gui.pages.plan import PlanPage
from ir_nav.gui.pages.register import RegisterPage
from ir_nav.gui.pages.review import ReviewPage
from ir_nav.gui.pages.set_up import SetUpPage
from ir_nav.gui.paint_clock import PaintClock
from ir_nav.gui.rail import Rail, StepRow
from ir_nav.gui.stage import Stage
from ir_nav.recording import NeedleLog
from ir_nav.session.session import Session
from ir_nav.session.state import NavigationState, Role
from ir_nav.session.steps import Step, done, refusal, summary

# Looks for new poses this often, and ticks when there are any: a tick on a clock of its own
# would let each pose wait for half a period on average.
LOOK_MS = 3
SOONEST_S = 0.012
LATEST_S = 0.033
CHROME_S = 0.25


class MainWindow(QMainWindow):
    """Top bar, rail, stage, footer. `paint_clock` measures the painting of Guide."""

    def __init__(
        self, session: Session, *, acknowledged: bool, settings: QSettings | None = None
    ) -> None:
        super().__init__()
        self.session = session
        self.settings = QSettings("ir-nav", "console") if settings is None else settings
        self.desk = Desk(session, self.settings)
        self.paint_clock = PaintClock()
        self.state: NavigationState | None = None
        self._painted: NavigationState | None = None
        self._ticked_s, self._seen_s = 0.0, 0.0
        self._chrome = Pace(CHROME_S)
        self._log: tuple[NeedleLog | None, float | None] = (None, None)
        self.guide = GuidePage(self.desk)
        self.pages: dict[Step, Page] = {
            Step.PATIENT: PatientPage(self.desk),
            Step.PLAN: PlanPage(self.desk),
            Step.SET_UP: SetUpPage(self.desk),
            Step.REGISTER: RegisterPage(self.desk),
            Step.GUIDE: self.guide,
            Step.REVIEW: ReviewPage(self.desk),
        }
        self.step = Step.PATIENT
        self._build()
        self._ring = FocusRing(self)
        bind_keys(self)
        self._restore()
        self.stage.setFocus()
        if not acknowledged:
            self.start_cover.open()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._look)
        self._timer.start(LOOK_MS)

    def _build(self) -> None:
        self.setWindowTitle("IR Nav")
        self.setMinimumSize(1024, 640)
        self.operator_menu = OperatorMenu(self.desk)
        self.top_bar, self.rail, self.footer = TopBar(), Rail(self.operator_menu), Footer()
        self.stage = Stage()
        for page in self.pages.values():
            self.stage.pages.addWidget(page)
        self.rail.step_chosen.connect(self.go)
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self.rail)
        middle.addWidget(self.stage, 1)
        root = QWidget()
        root.setObjectName("window")
        rows = QVBoxLayout(root)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        rows.addWidget(self.top_bar)
        rows.addLayout(middle, 1)
        rows.addWidget(self.footer)
        self.setCentralWidget(root)
        self.jobs = JobBar(self.desk.worker)
        area = self.stage.image_area
        self.jobs.float_over(self.stage, within=area)
        self.desk.banner.float_over(self.stage, beneath=self.jobs, within=area)
        self.start_cover, self.keys_cover = StartCover(root), KeysCover(root)
        self.start_cover.closed.connect(self.session.acknowledge)
        for cover in (self.start_cover, self.keys_cover):
            cover.closed.connect(self.stage.setFocus)

    def go(self, step: Step) -> bool:
        """Open a step, or say why it cannot be opened; whether it was."""
        why = refusal(step, self.session)
        if why is not None:
            reason = why.reason[:1].upper() + why.reason[1:]
            self.desk.banner.say(f"{step.title}: {reason}. {why.cure}.", Mood.REFUSED)
            return False
        if step is Step.GUIDE and self.step is not Step.GUIDE:
            self.paint_clock.begin()
        self.step = step
        page = self.pages[step]
        self.stage.pages.setCurrentWidget(page)
        self.desk.attempt(page.opened)
        self.tick()
        self._show_chrome()
        return True

    def _look(self) -> None:
        """Tick when a pose has arrived since the last one, and now and then without."""
        since_s = time.monotonic() - self._ticked_s
        if since_s < SOONEST_S:
            return
        newest_s = self.session.connection.newest_pose_s
        if newest_s > self._seen_s or since_s > LATEST_S:
            self._seen_s = newest_s
            self.tick()

    def tick(self) -> None:
        """Ask the session for the state now and show it."""
        self._ticked_s = time.monotonic()
        self.desk.attempt(self._advance, keep_banner=True)

    def _advance(self) -> None:
        state = self.session.tick(time.time())
        self.state = state
        self.desk.look.follow(self.session.case)
        self.pages[self.step].show_state(state)
        before = self.stage.alarm
        self.stage.set_alarm(alarm_of(state, self.step))
        # The frame and the words at the top right change together.
        if self._chrome.due(state.now_s) or self.stage.alarm != before:
            self._show_chrome()

    def _show_chrome(self) -> None:
        state = self.state
        if state is None:
            return
        log = self.session.journal.log
        if log is not self._log[0]:
            self._log = (log, None if log is None else state.now_s)
        self.top_bar.show_header(header_of(self.session, state, self.step, self._log[1]))
        self.rail.show_status(state)
        self.operator_menu.follow()
        self.rail.show_steps(self._step_rows(), self.step)
        if self.step is Step.GUIDE:
            age_s = None if state.tip is None else state.now_s - state.tip.received_s
            needle = state.tool(Role.NEEDLE)
            if age_s is None and needle is not None:
                age_s = needle.age_s
            self.footer.show_words(freshness(self.paint_clock.rate_hz(), age_s))
        else:
            self.footer.show_words("F1: keys")

    def _step_rows(self) -> tuple[StepRow, ...]:
        session = self.session
        return tuple(
            StepRow(
                step,
                summary(step, session) or ("In progress" if step is self.step else ""),
                done(step, session),
                refusal(step, session) is not None,
            )
            for step in Step
        )

    def focusNextPrevChild(self, next: bool) -> bool:
        """The Tab key: from now on the widget that has the focus shows it."""
        self._ring.begin()
        return super().focusNextPrevChild(next)

    def event(self, event: QEvent | None) -> bool:
        """Every dirty view is painted while the update request is handled: count that."""
        handled = super().event(event)
        if event is not None and event.type() == QEvent.Type.UpdateRequest:
            self._note_paint()
        return handled

    def _note_paint(self) -> None:
        state = self.state
        if self.step is Step.GUIDE and state is not None and state is not self._painted:
            self._painted = state
            received_s = None if state.tip is None else state.tip.received_s
            self.paint_clock.note(received_s, time.time())

    def grab_to(self, path: Path) -> None:
        """Save the whole window as a PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if not self.grab().save(str(path), "PNG"):
            self.desk.banner.say(f"{path} cannot be written")

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        small = self.width() < theme.SMALL_SCREEN_PX
        self.rail.setFixedWidth(theme.RAIL_WIDTH_SMALL if small else theme.RAIL_WIDTH)
        for page in self.pages.values():
            page.set_small(small)
        root = self.centralWidget()
        for cover in (self.start_cover, self.keys_cover):
            if root is not None:
                cover.setGeometry(root.rect())

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self._timer.stop()
        self.settings.setValue("geometry", self.saveGeometry())
        self.desk.close()
        super().closeEvent(event)

    def _restore(self) -> None:
        self.resize(1920, 1080)
        geometry = self.settings.value("geometry")
        if geometry is not None:
            self.restoreGeometry(geometry)

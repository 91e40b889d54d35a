"""The window's keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import QAbstractButton

from ir_nav.gui.notice import Mood
from ir_nav.gui.pages.patient import PatientPage
from ir_nav.gui.pages.plan import PlanPage
from ir_nav.gui.pages.register import RegisterPage
from ir_nav.gui.pages.review import ReviewPage
from ir_nav.gui.pages.set_up import SetUpPage
from ir_nav.gui.pedal_keys import PedalKeys
from ir_nav.gui.proposals_card import ROWS
from ir_nav.gui.scene_records import Handle
from ir_nav.session.steps import Step

if TYPE_CHECKING:
    from ir_nav.gui.main_window import MainWindow


def bind_keys(window: MainWindow) -> None:
    """Make every key of the list in F1 work, and the foot pedal."""
    bindings: list[tuple[str, Callable[[], object]]] = [
        ("M", lambda: _mark(window)),
        ("Space", lambda: _capture(window)),
        ("F", lambda: _freeze(window)),
        ("L", window.guide.next_layout),
        ("T", lambda: _place(window, Handle.TARGET)),
        ("E", lambda: _place(window, Handle.ENTRY)),
        *((str(n + 1), lambda n=n: _choose(window, n)) for n in range(ROWS)),
        ("Ctrl+O", lambda: _open(window)),
        ("Ctrl+Shift+O", lambda: _search_archive(window)),
        ("Ctrl+S", lambda: _save(window)),
        ("Ctrl+Z", lambda: _undo(window)),
        ("F1", window.keys_cover.open),
    ]
    bindings += [
        (f"Ctrl+{step.value}", lambda chosen=step: window.go(chosen))  # type: ignore[misc]
        for step in Step
    ]
    for keys, action in bindings:
        shortcut = QShortcut(QKeySequence(keys), window)
        # Space is held while the stylus is swiped: once down is one press.
        shortcut.setAutoRepeat(keys != "Space")
        shortcut.activated.connect(lambda act=action: act())
    PedalKeys(window)


def _mark(window: MainWindow) -> None:
    window.desk.attempt(lambda: window.session.mark("Mark"), "Marked in the log")


def _freeze(window: MainWindow) -> None:
    if window.step is Step.GUIDE:
        window.guide.toggle_freeze(window.state)


def _page(window: MainWindow) -> object:
    return window.pages[window.step]


def _capture(window: MainWindow) -> None:
    """Or press the button that the Tab key has gone to: its ring says what Space is for."""
    focused = window.focusWidget()
    if isinstance(focused, QAbstractButton) and focused.property("ring"):
        focused.click()
        return
    page = _page(window)
    if isinstance(page, RegisterPage | SetUpPage):
        page.capture()


def _place(window: MainWindow, handle: Handle) -> None:
    page = _page(window)
    if isinstance(page, PlanPage):
        page.place(handle)


def _choose(window: MainWindow, index: int) -> None:
    page = _page(window)
    if isinstance(page, PlanPage):
        page.choose(index)


def _open(window: MainWindow) -> None:
    page = _page(window)
    if isinstance(page, SetUpPage):
        page.open_room()
    elif isinstance(page, PlanPage):
        page.open_plan()
    elif isinstance(page, ReviewPage):
        page.open_log()
    elif window.go(Step.PATIENT):
        patient = window.pages[Step.PATIENT]
        if isinstance(patient, PatientPage):
            patient.open_file()


def _search_archive(window: MainWindow) -> None:
    patient = window.pages[Step.PATIENT]
    if window.go(Step.PATIENT) and isinstance(patient, PatientPage):
        patient.open_archive()


def _save(window: MainWindow) -> None:
    page = _page(window)
    if isinstance(page, ReviewPage):
        page.save_report()
        return
    plan = window.pages[Step.PLAN]
    if isinstance(plan, PlanPage):
        plan.save_plan()


def _undo(window: MainWindow) -> None:
    page = _page(window)
    if isinstance(page, RegisterPage | PlanPage):
        page.undo()
    else:
        window.desk.banner.say("Nothing to undo here", Mood.REFUSED)

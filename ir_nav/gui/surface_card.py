"""Swiping the stylus over skin or bone, and laying the points on the CT's surface."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtGui import QHideEvent, QKeyEvent, QShowEvent, QWindow

from ir_nav.gui.desk import Desk
from ir_nav.gui.fit_card import Offer
from ir_nav.gui.forms import Card, Facts, button, label, set_kind, set_mood
from ir_nav.gui.guided_card import sentence
from ir_nav.gui.landmarks_card import mm_words
from ir_nav.gui.notice import Mood
from ir_nav.imaging import BoolArray
from ir_nav.registration.surface import SurfaceRegistration, Tissue, freedom_words
from ir_nav.session.surface_swiping import PreparedSurface, SurfaceOutcome, SurfaceSwiping

# A key held longer than this is let go of to end the stroke; a shorter press keeps it going.
HOLD_S = 0.4
MOVED, FREE = "Moved", "Left free"
SPACE_TIP = "Space: hold it while the tip glides, or press it once to begin and once to end"


class SurfaceCard(Card):
    """Strokes, what is still missing, and what came of them. offer: for the page's foot."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._swiping: SurfaceSwiping = desk.session.swiping
        self._pressed_s = 0.0
        self._handle: QWindow | None = None
        # One try for each CT and tissue: what fails is said once.
        self._asked: tuple[object, Tissue] | None = None
        self._count = label("", "title", name="swiped_points")
        self._doubt = label("", "note", name="swipe_doubt")
        self._facts = Facts((MOVED, FREE))
        self._tissues = {
            tissue: button(
                f"swipe_{tissue}",
                sentence(str(tissue)),
                partial(self.choose, tissue),
                kind="small",
                checkable=True,
            )
            for tissue in Tissue
        }
        self._touch = button("tip_on_surface", "", self.toggle, checkable=True, tip=SPACE_TIP)
        self._register = button("register_surface", "Register", self.register)
        self.add_row(*self._tissues.values())
        self.add(self._count, self._doubt)
        self.add_row(self._touch, self._register)
        self.add_row(
            button("undo_stroke", "Undo stroke", self.undo, kind="small", tip="Ctrl+Z"),
            button("clear_strokes", "Clear", self.clear, kind="small"),
        )
        self.add(self._facts)
        self.offer = self._offered()
        self.follow()

    def _offered(self) -> Offer:
        swiping = self._swiping
        return Offer(
            lambda: None if swiping.found is None else swiping.found.registration,
            lambda confirmed: swiping.accept(confirmed=confirmed),
            lambda: "" if swiping.found is None else _fit_words(swiping.found),
            "Swipe the stylus over the patient, then Register.",
            "swipe a wider area",
            "Keep swiping",
        )

    def choose(self, tissue: Tissue) -> None:
        """Swipe another tissue."""
        self._swiping.choose(tissue)
        self.follow()

    def toggle(self) -> None:
        """The tip is on the surface, or off it again (Space, pedal)."""
        on = not self._swiping.touching
        self._pressed_s = time.monotonic()
        self._desk.attempt(lambda: self._swiping.touch(on), keep_banner=not on)
        self.follow()

    def undo(self) -> None:
        """Take back the last stroke."""
        self._desk.attempt(self._swiping.undo)
        self.follow()

    def clear(self) -> None:
        """Drop every stroke."""
        self._swiping.forget()
        self.follow()

    def register(self) -> None:
        """Lay the points on the surface, on the worker."""
        self._desk.attempt(self._submit)
        self.follow()

    def prepare(self) -> None:
        """Have the CT's surface worked out before it is needed; while this card is in sight."""
        key = (self._desk.session.case.volume, self._swiping.tissue)
        work = self._swiping.preparation(self._body())
        asked = self._asked is not None and self._asked[0] is key[0] and self._asked[1] is key[1]
        if work is None or asked:
            return
        self._asked = key
        todo, keep = work, self._swiping.keep

        def take(prepared: PreparedSurface) -> None:
            keep(prepared)

        self._desk.worker.submit("Looking for the surface", lambda _: todo(), take, quiet=True)

    def follow(self) -> None:
        """Draw what was swiped and found."""
        swiping = self._swiping
        for tissue, choice in self._tissues.items():
            choice.setChecked(tissue is swiping.tissue)
        count = len(swiping.swipes)
        strokes = f" in {swiping.strokes} strokes" if swiping.strokes > 1 else ""
        self._count.setText(f"{count} points{strokes}" if count else "No points yet")
        words, mood = self._advice()
        self._doubt.setText(words)
        set_mood(self._doubt, mood)
        self._touch.setChecked(swiping.touching)
        text = f"Tip off {swiping.tissue}" if swiping.touching else f"Tip on {swiping.tissue}"
        self._touch.setText(text)
        self._touch.setAccessibleName(text)
        self._register.setEnabled(count > 0)
        ready = swiping.hindered is None and not swiping.doubt and swiping.found is None
        set_kind(self._register, "primary" if ready and not swiping.touching else "")
        set_kind(self._touch, "" if ready or swiping.found is not None else "primary")
        self._show_found(swiping.found)

    def state(self) -> str:
        """Where it stands, in a word or two."""
        found = self._swiping.found
        if found is None:
            return f"{len(self._swiping.swipes) or ''}"
        return "refused" if not found.registration.accepted else mm_words(_rms_mm(found))

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Space let go of after it was held: the stroke ends with it."""
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.KeyRelease
            and event.key() == Qt.Key.Key_Space
            and not event.isAutoRepeat()
            and self._swiping.touching
            and time.monotonic() - self._pressed_s > HOLD_S
        ):
            self._swiping.touch(False)
        return False

    def showEvent(self, event: QShowEvent | None) -> None:
        """Keys come through the window's handle before any widget."""
        window = self.window()
        self._handle = None if window is None else window.windowHandle()
        if self._handle is not None:
            self._handle.installEventFilter(self)
        super().showEvent(event)

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Who looks elsewhere does not swipe."""
        if self._swiping.touching:
            self._swiping.touch(False)
        if self._handle is not None:
            self._handle.removeEventFilter(self)
            self._handle = None
        super().hideEvent(event)

    def _advice(self) -> tuple[str, str]:
        swiping = self._swiping
        if swiping.hindered is not None:
            return sentence(swiping.hindered), "warn"
        if swiping.doubt:
            return sentence(swiping.doubt), ""
        where = "" if swiping.start is not None else " Begun from every direction."
        return f"Enough to register. Wider and from several sides is better.{where}", "good"

    def _show_found(self, found: SurfaceRegistration | None) -> None:
        # What a refusal is for stands in the foot.
        known = found is not None and found.registration.accepted
        self._facts.setVisible(known)
        if found is None or not known:
            return
        moved = "from no start" if found.moved_mm is None else f"{found.moved_mm:.1f} mm"
        self._facts.show_fact(MOVED, moved)
        free = freedom_words(found.freedoms) if found.freedoms else "nothing"
        self._facts.show_fact(FREE, free, "bad" if found.freedoms else "")

    def _submit(self) -> None:
        work = self._swiping.solution(self._body())
        title = f"Laying the points on the {self._swiping.tissue}"
        self._desk.worker.submit(title, work, self._concluded)

    def _concluded(self, outcome: SurfaceOutcome) -> None:
        banner = self._desk.banner
        if not self._swiping.conclude(outcome):
            banner.say("More was swiped meanwhile: register again", Mood.REFUSED)
        elif not outcome.found.registration.accepted:
            words = f"Surface refused: {outcome.found.registration.reason}"
            banner.say(words, Mood.REFUSED)
        self.follow()

    def _body(self) -> BoolArray | None:
        """The skin's mask, where the window has worked it out already."""
        outline, volume = self._desk.look.outline, self._desk.session.case.volume
        return None if outline is None or outline.volume is not volume else outline.body


def _rms_mm(found: SurfaceRegistration) -> float:
    return found.registration.residual_rms_mm or 0.0


def _fit_words(found: SurfaceRegistration) -> str:
    kept, total = int(np.count_nonzero(found.kept)), len(found.kept)
    return f"{kept} of {total} points lie {mm_words(_rms_mm(found))} from it, rms."

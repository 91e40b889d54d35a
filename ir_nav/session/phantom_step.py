"""The phantom: its definition out of a file, and where it lies, touched with the stylus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ir_nav.session.errors import SessionError
from ir_nav.session.measured import AtHand, Measured
from ir_nav.session.phantom_touching import PhantomTouching
from ir_nav.session.state import Role
from ir_nav.tracking.calibration.calibration_file import CalibrationKind
from ir_nav.tracking.calibration.landmark_recording import MIN_LANDMARKS, PhantomRegistration
from ir_nav.tracking.calibration.phantom import Phantom, read_phantom
from ir_nav.tracking.calibration.phantom_json import phantom_json
from ir_nav.tracking.plus_device_set import read_device_set


class PhantomStep(Measured[PhantomRegistration]):
    """definition: as the chosen file says. mm_per_px: nominal scale of the images, where that
    file states one. touching: under way, or None."""

    kind = CalibrationKind.PHANTOM
    role = Role.REFERENCE

    def __init__(self, at_hand: AtHand) -> None:
        super().__init__(at_hand)
        self.definition: Phantom | None = None
        self.mm_per_px: float | None = None
        self.touching: PhantomTouching | None = None

    @property
    def running(self) -> bool:
        return self.touching is not None

    @property
    def placed(self) -> Phantom | None:
        """The phantom where it lies: as touched, else as its file says; None where neither."""
        definition, found = self.definition, self.in_use
        if definition is None or found.expired:
            return None
        if found.result is not None:
            return definition.registered(found.result.reference_from_phantom)
        return definition if definition.reference_from_phantom is not None else None

    def missing(self) -> str | None:
        """What is left to do before the probe can be calibrated, in words, or None."""
        if self.definition is None:
            return "choose the phantom's file"
        if self.in_use.expired:
            return "the phantom's registration expired: touch its landmarks again"
        if self.placed is None:
            return "register the phantom: touch its landmarks"
        return None

    def choose(self, path: Path) -> Phantom:
        """Read a phantom's file; CalibrationError says what is wrong with it. A registration of
        another phantom is dropped."""
        phantom = read_phantom(path)
        xml = path.suffix.lower() == ".xml"
        self.mm_per_px = read_device_set(path).mm_per_px if xml else None
        self.forget()
        self.definition = phantom
        return phantom

    def start(self) -> None:
        """Begin touching the landmarks in their order."""
        self.at_hand.require_tools(Role.STYLUS, Role.REFERENCE)
        if self.definition is None:
            raise SessionError("choose the phantom's file first")
        count = len(self.definition.landmark_names)
        if count < MIN_LANDMARKS:
            raise SessionError(
                f"{self.definition.name} names {count} landmarks, {MIN_LANDMARKS} are needed: "
                "add them to its file"
            )
        missing = self.at_hand.stylus_missing()
        if missing is not None:
            raise SessionError(f"the stylus is not calibrated: {missing}")
        self.touching = PhantomTouching(
            self.definition, self.at_hand.stylus_track, self.at_hand.clock()
        )

    def capture(self) -> None:
        """Take the stylus tip, at rest, as the next landmark."""
        self._under_way().capture(self.at_hand.clock())

    def redo(self, index: int | None = None) -> None:
        """Take back a landmark, or the last one: it is touched next."""
        touching = self._under_way()
        now_s = self.at_hand.clock()
        if index is None or touching.touches[index] is None:
            touching.undo(now_s)
        else:
            touching.redo(index, now_s)

    def finish(self) -> bool:
        """Work it out; whether it was accepted. A refused one leaves the touching open."""
        touching = self._under_way()
        if touching.fault is not None:
            raise SessionError(touching.fault)
        if touching.found is None:
            raise SessionError(f"touch at least {MIN_LANDMARKS} landmarks first")
        accepted = self.take(touching.found, self.at_hand.clock())
        if accepted:
            self.touching = None
        return accepted

    def cancel(self) -> None:
        self.touching = None

    def advance(self, now_s: float) -> None:
        if self.touching is not None:
            self.touching.watch(now_s)

    def words(self, result: PhantomRegistration) -> str:
        error = result.error_mm
        return (
            f"{error.mean:.2f} mm mean error, RMS {error.rms:.2f} mm, largest {error.max:.2f} mm "
            f"over {len(result.landmarks)} landmarks"
        )

    def document(self, result: PhantomRegistration) -> dict[str, Any]:
        names = () if self.definition is None else self.definition.landmark_names
        if len(names) <= max(result.landmarks, default=-1):
            names = tuple(f"#{index + 1}" for index in range(max(result.landmarks) + 1))
        return phantom_json(result, names)

    def _under_way(self) -> PhantomTouching:
        if self.touching is None:
            raise SessionError("start touching the landmarks first")
        return self.touching

"""The CT registered to a live ultrasound sweep: swept, worked out, looked at, accepted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from ir_nav.geometry import FloatArray, read_only, rigid_inverse, unit
from ir_nav.guidance import BreathingModel
from ir_nav.imaging import Volume
from ir_nav.planning import Plan
from ir_nav.progress import Progress
from ir_nav.recording import EventKind
from ir_nav.registration import Registration
from ir_nav.registration.ultrasound.fan import Fan
from ir_nav.registration.ultrasound.similarity import SweepCt
from ir_nav.session.errors import SessionError
from ir_nav.session.frame_tap import FrameTap, PosePairing
from ir_nav.session.gathered_sweep import GatheredSweep, breath_level
from ir_nav.session.image_poses import probe_from_image, reference_from_probe
from ir_nav.session.measured import AtHand
from ir_nav.session.registering import Registering
from ir_nav.session.room import UltrasoundEntry
from ir_nav.session.scanner_use import ScannerUse
from ir_nav.session.state import Role, UltrasoundState
from ir_nav.session.sweep_outcome import SweepBy, SweepOutcome, SweepTask, worked_out

LEAST_FRAMES = 8
NO_START = (
    "a sweep starts from a registration: touch the landmarks and accept, or scroll the CT to the "
    "slice that the live image shows and lock the plane"
)


class SweepRegistering:
    """Use it from the session's thread; only `solution` runs elsewhere.

    sweep: under way or stopped, or None. outcome: worked out and not yet accepted, or None.
    locked: (4, 4) ct_from_reference of one locked plane, or None.
    """

    def __init__(
        self,
        at_hand: AtHand,
        registering: Registering,
        volume: Callable[[], Volume | None],
        plan: Callable[[], Plan | None],
        scanner: Callable[[], ScannerUse],
        breathing: Callable[[], BreathingModel | None],
    ) -> None:
        self._at_hand = at_hand
        self._registering = registering
        self._volume, self._plan = volume, plan
        self._scanner, self._breathing = scanner, breathing
        self.sweep: GatheredSweep | None = None
        self.outcome: SweepOutcome | None = None
        self.locked: FloatArray | None = None
        self._prepared: tuple[Volume, SweepCt] | None = None
        self._fan: Fan | None = None
        self._began = (self._volume(), self._registering.expired)

    @property
    def sweeping(self) -> bool:
        """Whether frames are being gathered."""
        return self.sweep is not None and not self.sweep.stopped

    @property
    def fan(self) -> Fan | None:
        """That of the sweep worked out last."""
        return self._fan

    def start(self) -> None:
        """Begin to gather frames; what was gathered or found before is dropped."""
        streams = self._at_hand.require_tools(Role.PROBE, Role.REFERENCE)
        self._at_hand.require_ultrasound()
        if self._volume() is None:
            raise SessionError("open a CT first")
        entry, scanner = self._entry(), self._scanner()
        self._require_calibrated(entry, scanner)
        breathing = self._breathing()
        if breathing is None:
            raise SessionError(
                "the breathing is not known yet: wait while the reference is watched"
            )
        self._start_pose()
        self.discard()
        lag_s = scanner.tracker_lag_s
        self.sweep = GatheredSweep(
            FrameTap(streams.ultrasound),
            PosePairing(lambda source_s: reference_from_probe(streams, source_s + lag_s)),
            probe_from_image(entry, scanner),
            breath_level(streams, breathing, lag_s),
        )
        self._began = (self._volume(), self._registering.expired)

    def stop(self) -> None:
        """Gather no more; the sweep can be worked out."""
        if self.sweep is None:
            raise SessionError("start the sweep first")
        self.sweep.gather(self._at_hand.clock())
        self.sweep.stop()

    def lock_plane(
        self,
        image: UltrasoundState | None,
        middle_ct_mm: ArrayLike,
        right_ct: ArrayLike,
        down_ct: ArrayLike,
    ) -> None:
        """Say that the live image shows a plane of the CT: its middle (3,), and directions (3,)
        to the right and down, square to each other. From there a sweep can start."""
        if image is None or image.reference_from_image is None:
            why = None if image is None else image.reason
            raise SessionError(f"the image has no place: {why or 'no ultrasound image has come'}")
        self.locked = read_only(plane_start(image, middle_ct_mm, right_ct, down_ct))

    def unlock(self) -> None:
        """Forget the locked plane."""
        self.locked = None

    def solution(self, by: SweepBy = SweepBy.IMAGE) -> Callable[[Progress], SweepOutcome]:
        """Working out the sweep, which ends, for a worker's thread: seconds; see `conclude`.
        SessionError where it has too few frames: then it goes on."""
        sweep, volume, plan = self.sweep, self._volume(), self._plan()
        if sweep is None or volume is None:
            raise SessionError("start the sweep first")
        if len(sweep.frames) < LEAST_FRAMES:
            raise SessionError(_few(sweep))
        if not sweep.stopped:
            self.stop()
        prepared = self._prepared
        task = SweepTask(
            by,
            sweep.tracked(),
            sweep.windows,
            volume,
            prepared[1] if prepared is not None and prepared[0] is volume else None,
            self._start_pose(),
            None if plan is None else np.asarray(plan.target_ct_mm, dtype=np.float64),
            self._at_hand.clock(),
        )
        return lambda progress: worked_out(task, progress)

    def conclude(self, outcome: SweepOutcome) -> None:
        """Keep what was worked out, to be accepted, discarded, or worked out by another way."""
        self._fan = outcome.fan
        if outcome.ct is not None:
            self._prepared = (outcome.volume, outcome.ct)
        if outcome.volume is not self._volume():
            raise SessionError("another CT was opened meanwhile: sweep again")
        self.outcome = outcome
        if not outcome.registration.accepted:
            words = f"ultrasound sweep refused: {outcome.registration.reason}"
            self._at_hand.journal.note(EventKind.REGISTRATION, words)

    def accept(self, *, confirmed: bool = False) -> Registration:
        """Make what was found the registration; refuses as `Registering.take`."""
        if self.outcome is None:
            raise SessionError("register a sweep first")
        taken = self._registering.take(self.outcome.registration, confirmed=confirmed)
        self.outcome, self.sweep, self.locked = None, None, None
        return taken

    def reconsider(self) -> None:
        """Drop what was found, not the sweep: it can be worked out by another way."""
        self.outcome = None

    def discard(self) -> None:
        """Drop the sweep and what was found by it; nothing else changes."""
        if self.sweep is not None:
            self.sweep.stop()
        self.sweep, self.outcome = None, None

    def forget(self) -> None:
        """Drop it all: another CT, or the devices are let go of."""
        self.discard()
        self.locked = None

    def advance(self, now_s: float) -> None:
        """Take the frames that arrived; at each tick. What was swept before the CT was changed,
        or before the reference was moved, is dropped."""
        if self.sweep is None:
            return
        volume, expired = self._began
        if volume is not self._volume() or self._registering.expired not in (None, expired):
            self.forget()
        elif not self.sweep.stopped:
            self.sweep.gather(now_s)

    def _start_pose(self) -> FloatArray:
        used = self._registering.registration
        if used is not None:
            return used.ct_from_reference.matrix
        if self.locked is None:
            raise SessionError(NO_START)
        return self.locked

    def _entry(self) -> UltrasoundEntry:
        room = self._at_hand.room()
        assert room is not None
        assert room.ultrasound is not None
        return room.ultrasound

    def _require_calibrated(self, entry: UltrasoundEntry, scanner: ScannerUse) -> None:
        if scanner.reason is not None:
            raise SessionError(f"{scanner.reason}: calibrate again in Set up")
        if scanner.probe_from_image is None and not entry.calibrated:
            raise SessionError("the probe is not calibrated: do that in Set up first")


def plane_start(
    image: UltrasoundState, middle_ct_mm: ArrayLike, right_ct: ArrayLike, down_ct: ArrayLike
) -> FloatArray:
    """(4, 4) ct_from_reference by which an image that has a place shows a plane of the CT: the
    middle of one on the middle of the other; see `lock_plane`."""
    assert image.reference_from_image is not None
    rows, columns = image.frame.pixels.shape[:2]
    axes = image.reference_from_image[:3, :3]
    middle_px = np.array([(columns - 1) / 2.0, (rows - 1) / 2.0, 0.0, 1.0])
    ct_from_plane = _placed(middle_ct_mm, right_ct, down_ct)
    middle_mm = (image.reference_from_image @ middle_px)[:3]
    reference_from_plane = _placed(middle_mm, axes[:, 0], axes[:, 1])
    return np.asarray(ct_from_plane @ rigid_inverse(reference_from_plane))


def _placed(middle_mm: ArrayLike, right: ArrayLike, down: ArrayLike) -> FloatArray:
    """(4, 4) of a plane; right goes before down where they are not quite square."""
    x = unit(np.asarray(right, dtype=np.float64))
    z = unit(np.cross(x, np.asarray(down, dtype=np.float64)))
    matrix = np.eye(4)
    matrix[:3, :3] = np.column_stack([x, np.cross(z, x), z])
    matrix[:3, 3] = middle_mm
    return matrix


def _few(sweep: GatheredSweep) -> str:
    words = (
        f"the sweep has {len(sweep.frames)} frames, at least {LEAST_FRAMES} are needed: sweep "
        "slowly over the organ from two windows or more"
    )
    if sweep.left_out:
        reason, count = sweep.left_out[0]
        words += f" ({count} left out, most often: {reason})"
    return words

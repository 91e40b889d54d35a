"""The breath of a recorded sweep against that of the CT, as the command is told of it."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from devices.recordings import Recording
from ir_nav.geometry import FloatArray, GeometryError
from ir_nav.guidance import learn_breathing
from ir_nav.registration.errors import RegistrationError
from ir_nav.tracking.recorded_track import recorded_track


class Breath(StrEnum):
    """At which breath the CT was taken, in terms of the sweep.

    UNKNOWN: nobody says. HELD: the sweep was made at the CT's breath-hold. EXPIRATION,
    INSPIRATION: the patient breathed during the sweep, and the CT shows the breath let out, or
    drawn in; how the reference moves in the recording says which frames show the same.
    """

    UNKNOWN = "unknown"
    HELD = "held"
    EXPIRATION = "expiration"
    INSPIRATION = "inspiration"


def breath_levels(breath: Breath, recording: Recording, reference: str) -> FloatArray | None:
    """(n,) of the recording's frames: how far each one's breath is from the CT's, 0 the same and 1
    the other end, NaN where the reference was not seen; None where no breathing is known.

    As the console gates live frames. Where the reference moves by less than 0.8 mm it does not
    breathe, and nothing is known. RegistrationError where the recording is too short to tell.
    """
    if breath is Breath.UNKNOWN:
        return None
    if breath is Breath.HELD:
        return np.zeros(len(recording.frames))
    track = recorded_track(recording, reference)
    places_mm = track.poses[:, :3, 3]
    try:
        model = learn_breathing(track.times_s[track.seen], places_mm[track.seen])
    except GeometryError as error:
        raise RegistrationError(
            f"{recording.path.name}: {error}; record longer, or say --breathing held where the "
            "breath was held as in the CT"
        ) from None
    if not model.breathes:
        return None
    level = np.array([model.phase_mm(place) for place in places_mm]) / model.amplitude_mm
    return np.asarray(1.0 - level if breath is Breath.INSPIRATION else level)

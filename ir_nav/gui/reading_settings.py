"""How images are hung, as a user left it."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QSettings

from ir_nav.imaging.slab import Projection, Slab

SLABS = (
    Slab(),
    *(Slab(thick, Projection.MIP) for thick in (5.0, 10.0, 20.0, 40.0)),
    *(Slab(thick, Projection.MINIP) for thick in (5.0, 10.0, 20.0)),
    *(Slab(thick, Projection.MEAN) for thick in (3.0, 5.0, 10.0)),
)


@dataclass(frozen=True, slots=True)
class Hanging:
    """What is the same for every patient. slab: one of SLABS. cine_hz: slices a second."""

    slab: Slab = SLABS[0]
    cross_lines: bool = True
    cine_hz: float = 10.0


def slab_words(slab: Slab) -> str:
    """'Slice' or 'MIP 10 mm'."""
    if slab.thickness_mm <= 0.0:
        return "Slice"
    return f"{slab.projection} {slab.thickness_mm:g} mm"


def read_hanging(settings: QSettings) -> Hanging:
    """As it was left; what the settings do not hold, or hold wrongly, is as at first."""
    first = Hanging()
    words = str(settings.value("reading/slab", slab_words(first.slab)))
    slab = next((one for one in SLABS if slab_words(one) == words), first.slab)
    lines = str(settings.value("reading/cross_lines", "true")).lower() != "false"
    try:
        cine_hz = float(settings.value("reading/cine_hz", first.cine_hz))
    except (TypeError, ValueError):
        cine_hz = first.cine_hz
    return Hanging(slab, lines, cine_hz if 0.5 <= cine_hz <= 100.0 else first.cine_hz)


def write_hanging(settings: QSettings, hanging: Hanging) -> None:
    """Hang the next patient's images like this."""
    settings.setValue("reading/slab", slab_words(hanging.slab))
    settings.setValue("reading/cross_lines", hanging.cross_lines)
    settings.setValue("reading/cine_hz", hanging.cine_hz)

"""A phantom's registration as it is written to a file."""

from __future__ import annotations

from typing import Any

from ir_nav.tracking.calibration.landmark_recording import PhantomRegistration

FORMAT = 1


def phantom_json(found: PhantomRegistration, names: tuple[str, ...]) -> dict[str, Any]:
    """Plain numbers for json.dumps; names: of all landmarks of the phantom."""
    pairs = zip(found.landmarks, found.residuals_mm, strict=True)
    return {
        "format": FORMAT,
        "reference_from_phantom": found.reference_from_phantom.tolist(),
        "error_mm": found.error_mm.as_json(),
        "landmarks": [{"name": names[one], "error_mm": float(error)} for one, error in pairs],
        "missed": [name for index, name in enumerate(names) if index not in found.landmarks],
        "accepted": found.accepted,
        "reason": found.reason,
    }

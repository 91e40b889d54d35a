"""What every calibration says of its error, in the same words."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike


class CalibrationError(ValueError):
    """A calibration cannot even be tried; the message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class ErrorStatistics:
    """Statistics of non-negative errors, in the unit of what was measured (mm or s).

    mean_best_95: mean over the smallest 95 % of the errors, the figure that PLUS reports.
    """

    mean: float
    rms: float
    max: float
    mean_best_95: float

    @classmethod
    def of(cls, errors: ArrayLike) -> ErrorStatistics:
        """From errors (n,); CalibrationError when there is none, or one is not finite."""
        values = np.sort(np.abs(np.asarray(errors, dtype=np.float64).reshape(-1)))
        if not len(values) or not np.isfinite(values).all():
            raise CalibrationError("no error can be stated: there are no finite residuals")
        best = values[: max(1, round(0.95 * len(values)))]
        return cls(
            float(values.mean()),
            float(np.sqrt(np.mean(values**2))),
            float(values[-1]),
            float(best.mean()),
        )

    def as_json(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Rejection:
    """One input that was left out: its index in the recording, and why."""

    index: int
    reason: str

"""How far slow work is, told from 0 to 1; the listener may raise to cancel it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float], None]


def unheard(_fraction: float) -> None:
    """Nobody listens."""

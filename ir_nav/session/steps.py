"""The workflow: what each step needs before it can be opened, in words."""

from __future__ import annotations

from enum import IntEnum


class Step(IntEnum):
    """Steps of a procedure, in order."""

    PATIENT = 1
    PLAN = 2
    SET_UP = 3
    REGISTER = 4
    GUIDE = 5
    REVIEW = 6

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()

"""The needle against the plan, the respiratory gate, and what may be believed."""

from ir_nav.guidance.breathing import BreathingModel, learn_breathing
from ir_nav.guidance.error_budget import ErrorBudget
from ir_nav.guidance.needle import Guidance, guide
from ir_nav.planning.path import PlannedPath

__all__ = [
    "BreathingModel",
    "ErrorBudget",
    "Guidance",
    "PlannedPath",
    "guide",
    "learn_breathing",
]

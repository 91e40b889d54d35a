"""What was achieved, and the report."""

from ir_nav.review.metrics import Achieved, Placement, Review, placement, review
from ir_nav.review.report import write_report

__all__ = ["Achieved", "Placement", "Review", "placement", "review", "write_report"]

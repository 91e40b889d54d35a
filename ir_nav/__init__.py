"""Interventional-radiology navigation console."""

__version__ = "0.1.0"

RESEARCH_LABEL = "Research software. Not a medical device. Not for clinical use."

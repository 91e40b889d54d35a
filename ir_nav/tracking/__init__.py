"""Poses of tools over time, and what turns a sensor's pose into a tip's."""

from ir_nav.tracking.pose_buffer import PoseBuffer, scatter_mm

__all__ = ["PoseBuffer", "scatter_mm"]

"""Images from cameras, frame grabbers, network cameras and video files."""

from devices.video.capture import Frame, VideoSource, grey
from devices.video.grabber import FrameGrabber

__all__ = ["Frame", "FrameGrabber", "VideoSource", "grey"]

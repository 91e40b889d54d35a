"""Small tracked sequences (.igs.mha) with poses and images of our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np


def write_poses(
    path: Path,
    frames: Sequence[Mapping[str, np.ndarray | None]],
    images: np.ndarray | None = None,
    rate_hz: float = 20.0,
) -> Path:
    """Frames of poses by name, such as "StylusToTracker"; None where the tool was not seen.

    images (n, rows, columns), 8 bit, or none.
    """
    size = "0 0" if images is None else f"{images.shape[2]} {images.shape[1]}"
    kind = "MET_OTHER" if images is None else "MET_UCHAR"
    lines = ["ObjectType = Image", "NDims = 3", f"DimSize = {size} {len(frames)}"]
    lines += [f"ElementType = {kind}", "UltrasoundImageOrientation = MFA"]
    for index, poses in enumerate(frames):
        key = f"Seq_Frame{index:04d}"
        lines.append(f"{key}_Timestamp = {1.0 + index / rate_hz:.6f}")
        lines.append(f"{key}_ImageStatus = {'INVALID' if images is None else 'OK'}")
        for name, matrix in poses.items():
            numbers = np.eye(4) if matrix is None else matrix
            text = " ".join(f"{value:.9g}" for value in numbers.ravel())
            lines.append(f"{key}_{name}Transform = {text}")
            status = "INVALID" if matrix is None else "OK"
            lines.append(f"{key}_{name}TransformStatus = {status}")
    lines.append("ElementDataFile = LOCAL")
    pixels = b"" if images is None else np.ascontiguousarray(images, np.uint8).tobytes()
    path.write_bytes("\n".join(lines).encode() + b"\n" + pixels)
    return path

"""Where frames are drawn: on an NVIDIA GPU where there is one, else on the processor's cores."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import threading
from functools import cache
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from ir_nav.geometry import FloatArray
from ir_nav.registration.errors import RegistrationError
from ir_nav.registration.fluoro.attenuation import Attenuation

# `cpu`: never a GPU. `cuda`: an error without one. Unset: a GPU where there is one.
VARIABLE = "IR_NAV_PROJECTOR"
WISHES = ("", "cpu", "cuda")

logger = logging.getLogger(__name__)
_given_up = threading.Event()


def rendered_on_device(
    attenuation: Attenuation,
    sources: FloatArray,
    rays: FloatArray,
    per_pixel: FloatArray,
    frames: NDArray[np.float32],
) -> NDArray[np.int32] | None:
    """Fill frames (n, rows, columns) on a GPU; (n,) states of the poses, or None: not drawn.

    A GPU that fails is given up for good, with one line in the log. Raises RegistrationError
    when the user asks for a GPU that is not there or that fails, or for something unknown.
    """
    wish = os.environ.get(VARIABLE, "")
    if wish not in WISHES:
        raise RegistrationError(f"{VARIABLE} is {wish!r}: set it to cpu or cuda, or leave it unset")
    if wish == "cpu" or (_given_up.is_set() and wish != "cuda"):
        return None
    if wish != "cuda" and not _driver_is_there():
        return None
    try:
        states: NDArray[np.int32] = _started().render(attenuation, sources, rays, per_pixel, frames)
    except Exception as error:
        # The driver, its compiler and their packages each fail in their own way.
        fault = " ".join(str(error).split()) or type(error).__name__
        if wish == "cuda":
            raise RegistrationError(
                f"{VARIABLE}=cuda asks for an NVIDIA GPU, but it does not work: install its driver "
                f"and `pip install ir-nav[gpu]`, or set {VARIABLE}=cpu ({fault})"
            ) from error
        _given_up.set()
        logger.warning("the GPU is not used, the processor draws instead: %s", fault)
        return None
    return states


@cache
def _started() -> ModuleType:
    from ir_nav.registration.fluoro import projector_cuda

    projector_cuda.start()
    return projector_cuda


@cache
def _driver_is_there() -> bool:
    """Whether there is a driver to load: looked up without numba's own, slower start."""
    if os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0"):
        return True
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(os.environ.get("NUMBA_CUDA_DRIVER", name))
    except OSError:
        return False
    return True

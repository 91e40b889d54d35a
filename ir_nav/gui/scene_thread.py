"""The thread that renders the 3D scene: newest request in, picture out."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from dataclasses import replace
from threading import Condition, Thread, get_native_id

from ir_nav.gui.scene_records import Overlays
from ir_nav.gui.scene_request import Lens, ScenePicture, SceneRequest
from ir_nav.gui.scene_vtk import SceneUnavailableError, VtkScene

FASTEST_S = 1.0 / 10.0
# The slice views and the tick share the cores with this thread: it works at most this part of
# the time.
SHARE = 0.25
NICENESS = 10
# Rendering that keeps taking longer is done at half the size, until it is quick again.
SLOW_MS = 90.0
QUICK_MS = 20.0


class Detail:
    """Full size or half, by what the last pictures cost."""

    def __init__(self) -> None:
        self._reduction = 1
        self._slow = 0
        self._quick = 0

    def after(self, render_ms: float) -> int:
        """By how much the next picture is reduced.

        One slow picture says little: the first ones upload surfaces and compile shaders.
        """
        slow = render_ms > SLOW_MS
        quick = render_ms < QUICK_MS
        self._slow = self._slow + 1 if slow else 0
        self._quick = self._quick + 1 if quick else 0
        if self._slow >= 5:
            self._reduction, self._slow = 2, 0
        elif self._quick >= 20:
            self._reduction, self._quick = 1, 0
        return self._reduction


class SceneThread:
    """Renders the newest request; requests in between are left out."""

    def __init__(self) -> None:
        self._ready = Condition()
        self._request: SceneRequest | None = None
        self._last: SceneRequest | None = None
        self._picture: ScenePicture | None = None
        self._fault: str | None = None
        self._stopping = False
        self._thread: Thread | None = None

    def ask(self, request: SceneRequest) -> None:
        """Render this next; starts the thread at the first call."""
        with self._ready:
            if self._stopping:
                return
            self._request = self._last = request
            if self._thread is None:
                self._thread = Thread(target=self._run, name="scene", daemon=True)
                self._thread.start()
            self._ready.notify()

    def asked(self, request: SceneRequest | None) -> bool:
        """Whether this was the last request."""
        with self._ready:
            return self._last is request

    def newest(self) -> ScenePicture | None:
        """The last picture, or None before the first."""
        with self._ready:
            return self._picture

    def fault(self) -> str | None:
        """Why there will be no picture, in words, or None."""
        with self._ready:
            return self._fault

    def close(self, timeout_s: float = 5.0) -> bool:
        """End the thread; whether it ended in time."""
        with self._ready:
            self._stopping = True
            self._ready.notify()
            thread = self._thread
        if thread is None:
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def _run(self) -> None:
        # Mesa would otherwise take every core for one frame and stall the 2D views.
        os.environ.setdefault("LP_NUM_THREADS", "1")
        _step_back()
        try:
            scene = VtkScene()
        except (SceneUnavailableError, ImportError) as error:
            self._fail(str(error))
            return
        try:
            self._render_until_closed(scene)
        except SceneUnavailableError as error:
            self._fail(str(error))
        finally:
            scene.close()

    def _render_until_closed(self, scene: VtkScene) -> None:
        detail = Detail()
        reduction = 1
        number = 0
        while (request := self._wait()) is not None:
            start = time.perf_counter()
            pixels = scene.render(_reduced(request, reduction))
            spent = time.perf_counter() - start
            number += 1
            reduction = detail.after(spent * 1e3)
            lens = scene.lens()
            names = _named_places(request.overlays, lens)
            with self._ready:
                self._picture = ScenePicture(
                    request.owner, pixels, spent * 1e3, number, request.camera, names, lens
                )
                self._ready.wait_for(
                    lambda: self._stopping, max(FASTEST_S - spent, spent / SHARE - spent, 0.0)
                )

    def _wait(self) -> SceneRequest | None:
        with self._ready:
            self._ready.wait_for(lambda: self._stopping or self._request is not None)
            request, self._request = self._request, None
            return None if self._stopping else request

    def _fail(self, why: str) -> None:
        with self._ready:
            self._fault = why


def _named_places(shown: Overlays, lens: Lens) -> tuple[tuple[float, float, str], ...]:
    """Marked points, and approved needles where there are several, as parts of the picture."""
    named = [(mark.point_ct_mm, mark.name) for mark in shown.marks]
    if len(shown.approved) > 1:
        named += [(one.entry_ct_mm, f"{n}") for n, one in enumerate(shown.approved, start=1)]
    places = lens.places([point for point, _ in named])
    return tuple(
        (float(x), float(y), name) for (x, y), (_, name) in zip(places, named, strict=True)
    )


def _step_back() -> None:
    """Let the GUI and the reader threads go first where cores are short (Linux)."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, get_native_id(), NICENESS)


def _reduced(request: SceneRequest, reduction: int) -> SceneRequest:
    if reduction == 1:
        return request
    columns, rows = request.size_px
    size = (max(columns // reduction, 16), max(rows // reduction, 16))
    return replace(request, size_px=size)

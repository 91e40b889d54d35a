"""The newest frame of a source: whoever is too slow skips frames and is never behind."""

from __future__ import annotations

import threading

from devices.contract import ConnectionLostError
from devices.reading import Reading, StoppedError
from devices.video.capture import Capture, Frame

_TICK_S = 0.1
_JOIN_S = 2.5


class NewestFrames:
    """Empties a capture on a thread of its own, and keeps one frame.

    The buffers of drivers and networks hold many frames; reading them only as fast as they are
    used would show old ones for ever.
    """

    def __init__(self, capture: Capture, title: str) -> None:
        self._capture = capture
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._skipped = 0
        self._end: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"grab {title}", daemon=True)
        self._thread.start()

    def take(self, reading: Reading) -> Frame:
        """Wait for the next frame, and count in `reading` those skipped before it.

        Raises StoppedError, ConnectionLostError once the source and the last frame are gone.
        """
        with self._changed:
            while self._frame is None:
                if reading.stopping.is_set():
                    raise StoppedError
                if self._end is not None:
                    raise self._end
                self._changed.wait(_TICK_S)
            frame, self._frame = self._frame, None
            skipped, self._skipped = self._skipped, 0
        if skipped:
            reading.refuse("newer frame came", skipped)
        return frame

    def close(self) -> None:
        """Stop and wait until the source is released, as long as one of its reads can take."""
        self._stopping.set()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._put(self._capture.read(self._stopping))
        except StoppedError:
            pass
        except ConnectionLostError as error:
            self._finish(error)
        except Exception as error:  # noqa: BLE001  the thread's boundary
            self._finish(ConnectionLostError(f"reading an image failed ({error!r})"))
        finally:
            self._capture.close()

    def _put(self, frame: Frame) -> None:
        with self._changed:
            self._skipped += self._frame is not None
            self._frame = frame
            self._changed.notify()

    def _finish(self, error: ConnectionLostError) -> None:
        with self._changed:
            self._end = error
            self._changed.notify()

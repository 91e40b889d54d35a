"""The camera end of a network video line: motion JPEG over HTTP."""

from __future__ import annotations

import socket
import threading
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

_HEAD = (
    b"HTTP/1.0 200 OK\r\n"
    b"Content-Type: multipart/x-mixed-replace; boundary=frame\r\nCache-Control: no-cache\r\n\r\n"
)
_JOIN_S = 1.0
_COMMENT = b"\xff\xfe" + (4096).to_bytes(2, "big") + bytes(4094)


class NetworkCamera:
    """Serves the last shown image to whoever connects, and every later one."""

    def __init__(self, first: NDArray[np.uint8]) -> None:
        self._part = _part(first)
        self._lock = threading.Lock()
        self._viewers: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://{}:{}/video".format(*self._listener.getsockname())
        self._thread = threading.Thread(target=self._accept, name="network camera", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing answers any more, and viewers are cut off."""
        shut(self._listener)
        self._listener.close()
        self._thread.join(_JOIN_S)
        with self._lock:
            for viewer in self._viewers:
                shut(viewer)

    def viewers(self) -> int:
        with self._lock:
            return len(self._viewers)

    def show(self, image: NDArray[np.uint8]) -> None:
        """Send an image, grey or blue-green-red."""
        with self._lock:
            self._part = _part(image)
            for viewer in self._viewers:
                viewer.sendall(self._part)

    def _accept(self) -> None:
        while True:
            try:
                viewer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(viewer,), daemon=True).start()

    def _serve(self, viewer: socket.socket) -> None:
        with viewer:
            viewer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            request = b""
            while b"\r\n\r\n" not in request:
                data = viewer.recv(4096)
                if not data:
                    return
                request += data
            with self._lock:
                viewer.sendall(_HEAD + self._part)
                self._viewers.append(viewer)
            try:
                while viewer.recv(4096):
                    pass
            except OSError:
                pass
            finally:
                with self._lock:
                    self._viewers.remove(viewer)


def shut(sock: socket.socket) -> None:
    """End a socket, and wake the thread that waits on it."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the peer was quicker


def _part(image: NDArray[np.uint8]) -> bytes:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
    # Players look at the first 2 kB before they open; a plain test picture has fewer.
    data = data[:2] + _COMMENT + data[2:]
    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data + b"\r\n"

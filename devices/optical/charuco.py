"""ChArUco boards: chessboards whose white squares carry markers, so that part of one will do."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from devices.contract import DeviceError
from devices.optical.bodies import dictionaries

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CharucoBoard:
    """squares: (columns, rows). square_mm, marker_mm: sides as measured on the print. dictionary:
    OpenCV's name, with or without "DICT_". Raises DeviceError where no such board exists."""

    squares: tuple[int, int]
    square_mm: float
    marker_mm: float
    dictionary: str

    def __post_init__(self) -> None:
        columns, rows = self.squares
        if not (3 <= columns <= 50 and 3 <= rows <= 50):
            raise DeviceError(f"a board of {columns} x {rows} squares; use 3 to 50 each way")
        if not 0.0 < self.marker_mm < self.square_mm < 1000.0:
            raise DeviceError(
                f"markers of {self.marker_mm:.3g} mm do not fit squares of {self.square_mm:.3g} mm"
            )
        marks = dictionaries().get(self.dictionary.removeprefix("DICT_"))
        if marks is None:
            raise DeviceError(f"there is no marker dictionary '{self.dictionary}'")
        if len(marks.bytesList) < columns * rows // 2:
            raise DeviceError(f"{self.dictionary} has too few markers for this board")

    def pattern(self) -> cv2.aruco.CharucoBoard:
        marks = dictionaries()[self.dictionary.removeprefix("DICT_")]
        return cv2.aruco.CharucoBoard(self.squares, self.square_mm, self.marker_mm, marks)

    def picture(self, px_per_square: int) -> NDArray[np.uint8]:
        """The board to print, without a rim, (rows, columns)."""
        size = (self.squares[0] * px_per_square, self.squares[1] * px_per_square)
        return np.asarray(self.pattern().generateImage(size), dtype=np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class BoardView:
    """Inner corners found in one image. points_mm: (n, 3) on the board. pixels: (n, 2) as seen."""

    name: str
    points_mm: Floats
    pixels: Floats


def find_board(board: CharucoBoard, name: str, image: NDArray[np.uint8]) -> BoardView:
    """image: grey (rows, columns). A view without corners where the board is not seen."""
    pattern = board.pattern()
    corners, ids, _, _ = cv2.aruco.CharucoDetector(pattern).detectBoard(image)
    if ids is None:
        return BoardView(name, np.zeros((0, 3)), np.zeros((0, 2)))
    points = np.asarray(pattern.getChessboardCorners(), dtype=np.float64)[ids.ravel()]
    return BoardView(name, points, np.asarray(corners, dtype=np.float64).reshape(-1, 2))

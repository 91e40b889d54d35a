"""Other projectors on the same volume and view, for benchmarks/projector.py, which starts this.

    PEERS_PYTHON benchmarks/projector_peers.py NAME FOLDER REPEATS

NAME: itk (SiddonJacobsRayCastInterpolateImageFunction, pip itk-twoprojectionregistration), rtk
(Joseph, pip itk-rtk) or diffdrr (trilinear, 250 points a ray, pip diffdrr). FOLDER holds
volume.npy (k, j, i), 1/mm, about the isocentre in LPS, and view.json. Writes NAME-SIZE.npy and
NAME.json, the seconds of every repeat and of the processor. Knows nothing of ir_nav: it runs in
an interpreter of its own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


def main() -> int:
    name, folder, repeats = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    view = json.loads((folder / "view.json").read_text())
    volume = np.load(folder / "volume.npy")
    prepared = {"itk": itk_siddon, "rtk": rtk_joseph, "diffdrr": diffdrr_trilinear}[name]
    times = {}
    for size in view["sizes"]:
        render = prepared(volume, view, size)
        # Rows run from feet to head here, columns to the left: turned as the console's frames.
        frame = np.asarray(render())[::-1, ::-1]
        times[str(size)] = [timed(render) for _ in range(repeats)]
        np.save(folder / f"{name}-{size}.npy", np.asarray(frame, dtype=np.float32))
    (folder / f"{name}.json").write_text(json.dumps(times))
    return 0


def timed(work: Callable[[], object]) -> tuple[float, float]:
    began, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - used


def itk_siddon(volume: np.ndarray, view: dict, size: int) -> Callable[[], np.ndarray]:
    import itk

    # It looks along +y from the front, knows no origin, and gives value per part of the way.
    image = itk.image_from_array(np.ascontiguousarray(volume[:, ::-1]))
    image.SetSpacing(view["spacing_mm"])
    kind = itk.Image[itk.F, 3]
    transform = itk.Euler3DTransform[itk.D].New()
    transform.SetComputeZYX(True)
    transform.SetCenter([
        n * step / 2.0 for n, step in zip(volume.shape[::-1], view["spacing_mm"], strict=True)
    ])  # fmt: skip
    rays = itk.SiddonJacobsRayCastInterpolateImageFunction[kind, itk.D].New()
    rays.SetFocalPointToIsocenterDistance(view["source_mm"])
    rays.SetProjectionAngle(0.0)
    rays.SetThreshold(0.0)
    rays.SetTransform(transform)
    transform.Modified()  # it looks at the centre only when the transform is newer than itself
    pitch, end = view["field_mm"] / size, view["field_mm"] * (size - 1) / size / 2.0
    drawn = itk.ResampleImageFilter[kind, kind].New(Input=image, Interpolator=rays)
    drawn.SetSize([size, size, 1])
    drawn.SetOutputSpacing([pitch, pitch, 1.0])
    drawn.SetOutputOrigin([-end, -end, -view["sid_mm"]])
    across = np.linspace(-end, end, size)
    way = np.sqrt(across[:, None] ** 2 + across[None] ** 2 + view["sid_mm"] ** 2)

    def render() -> np.ndarray:
        drawn.Modified()
        drawn.Update()
        return itk.array_view_from_image(drawn.GetOutput())[0] * way

    return render


def rtk_joseph(volume: np.ndarray, view: dict, size: int) -> Callable[[], np.ndarray]:
    import itk
    from itk import RTK as rtk  # noqa: N811

    # Its axis of rotation is y and its source stands at +z: here head, and the patient's back.
    image = itk.image_from_array(np.ascontiguousarray(volume.transpose(1, 0, 2)))
    x, y, z = view["spacing_mm"]
    spacing = (x, z, y)
    image.SetSpacing(spacing)
    shape = (volume.shape[2], volume.shape[0], volume.shape[1])
    image.SetOrigin([-(n - 1) / 2.0 * step for n, step in zip(shape, spacing, strict=True)])
    geometry = rtk.ThreeDCircularProjectionGeometry.New()
    geometry.AddProjection(view["source_mm"], view["sid_mm"], 0.0)
    pitch, end = view["field_mm"] / size, view["field_mm"] * (size - 1) / size / 2.0
    empty = itk.image_from_array(np.zeros((1, size, size), np.float32))
    empty.SetSpacing([pitch, pitch, 1.0])
    empty.SetOrigin([-end, -end, 0.0])
    kind = itk.Image[itk.F, 3]
    joseph = rtk.JosephForwardProjectionImageFilter[kind, kind].New()
    joseph.SetInput(0, empty)
    joseph.SetInput(1, image)
    joseph.SetGeometry(geometry)
    joseph.InPlaceOff()

    def render() -> np.ndarray:
        joseph.Modified()
        joseph.Update()
        return itk.array_view_from_image(joseph.GetOutput())[0].copy()

    return render


def diffdrr_trilinear(volume: np.ndarray, view: dict, size: int) -> Callable[[], np.ndarray]:
    import torch
    from diffdrr.data import read
    from diffdrr.drr import DRR
    from torchio import ScalarImage

    # torchio is RAS and [i, j, k]; the source stands at the patient's back ("PA" turns it there).
    affine = np.diag([-view["spacing_mm"][0], -view["spacing_mm"][1], view["spacing_mm"][2], 1.0])
    tensor = torch.from_numpy(np.ascontiguousarray(volume.transpose(2, 1, 0)))[None]
    subject = read(ScalarImage(tensor=tensor, affine=affine), orientation="PA")
    subject.density = ScalarImage(tensor=tensor, affine=subject.volume.affine)
    model = DRR(
        subject, sdd=view["sid_mm"], height=size, delx=view["field_mm"] / size,
        renderer="trilinear",
    )  # fmt: skip
    turn = torch.zeros(1, 3)
    shift = torch.tensor([[0.0, -view["source_mm"], 0.0]])

    def render() -> np.ndarray:
        with torch.no_grad():
            frame = model(
                turn, shift, parameterization="euler_angles", convention="ZXY", n_points=250
            )
        return frame[0, 0].numpy()[::-1]

    return render


if __name__ == "__main__":
    raise SystemExit(main())

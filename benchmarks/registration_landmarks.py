"""Landmark registration: the predicted target error against Monte-Carlo, and the fit beside peers.

    .venv/bin/python benchmarks/registration_landmarks.py [--trials 4000]

Truth: landmarks moved by a known rigid motion, Gaussian noise drawn by numpy. Peers, in the same
run: VTK's landmark transform and SimpleITK's landmark initialiser (both unweighted). Prints
Markdown tables; processor time beside wall time, and the load.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from ir_nav.geometry import Frame, Transform, apply, fit_points
from ir_nav.geometry.anisotropic_fit import fit_points_anisotropic
from ir_nav.registration import Method, Registration, RegistrationError, register_landmarks
from ir_nav.registration.matching import match_points
from ir_nav.registration.tre import motion_covariance, tre_map_mm

LAYOUTS = {
    "three points": [(0, 0, 0), (120, 0, 0), (30, 100, 0)],
    "four on a plate": [(0, 0, 0), (90, 0, 0), (0, 60, 0), (90, 60, 0)],
    "six on the skin": [
        (-80, -60, 0), (70, -75, 10), (90, 40, -20), (0, -90, 60), (-60, 50, 70), (20, -80, -70),
    ],
    "nearly a line": [(0, 0, 0), (50, 6, 0), (100, -6, 3), (150, 4, -4), (200, 0, 5)],
    "ten": list(np.random.default_rng(1).uniform(-90, 90, (10, 3))),
}  # fmt: skip
TARGETS = np.array([(20.0, 10.0, 0.0), (60.0, 80.0, 90.0), (-40.0, 30.0, -120.0)])


def noises(count: int) -> dict[str, np.ndarray]:
    """Covariances (n, 3, 3) of the touched points, mm squared."""
    steps = 1.0 + np.arange(count) % 3
    return {
        "isotropic": np.array([np.eye(3) * 0.3**2] * count),
        "weighted": np.array([np.eye(3) * (0.2 * step) ** 2 for step in steps]),
        "anisotropic": np.array([np.diag([0.2, 0.25, 0.75]) ** 2] * count),
        "both": np.array([np.diag([0.15, 0.15, 0.45]) ** 2 * step for step in steps]),
    }


def truth() -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (25, -40, 110), degrees=True).as_matrix()
    matrix[:3, 3] = (40.0, -300.0, 900.0)
    return matrix


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=4000)
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {options.trials} trials\n")
    predictions(options.trials)
    times()
    matchings()
    return 0


def predictions(trials: int) -> None:
    """Predicted over made rms TRE, the largest deviation of three targets."""
    print("| landmarks | noise | fitted with its covariances | fitted without | gain |")
    print("|---|---|---|---|---|")
    for name, listed in LAYOUTS.items():
        points = np.array(listed, dtype=float)
        for noise, shapes in noises(len(points)).items():
            fitted = compared(points, shapes, trials, weighted=noise != "isotropic")
            plain = compared(points, shapes, trials, weighted=False)
            gain = f"{np.mean(plain[1] / fitted[1]):.2f}"
            print(f"| {name} | {noise} | {deviation(fitted)} | {deviation(plain)} | {gain} |")
            sys.stdout.flush()


def compared(
    points: np.ndarray, shapes: np.ndarray, trials: int, *, weighted: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and made rms TRE (3,) at the targets, mm."""
    rng = np.random.default_rng(17)
    reference, targets = (apply(np.linalg.inv(truth()), at) for at in (points, TARGETS))
    roots = np.linalg.cholesky(shapes)
    squares = np.zeros(len(TARGETS))
    for _ in range(trials):
        noisy = reference + np.einsum("nij,nj->ni", roots, rng.normal(size=points.shape))
        if weighted:
            matrix = fit_points_anisotropic(noisy, points, shapes).matrix
        else:
            matrix = fit_points(noisy, points).matrix
        squares += np.sum((apply(matrix, targets) - TARGETS) ** 2, axis=1)
    rotation = truth()[:3, :3]
    turned = rotation @ shapes @ rotation.T
    believed = None if weighted else np.broadcast_to(np.eye(3), shapes.shape)
    middle = points.mean(axis=0)
    covariance = motion_covariance(points, turned, middle, believed)
    transform = Transform(Frame.CT, Frame.REFERENCE, truth())
    found = Registration(
        Method.LANDMARKS, transform, (), covariance, middle, 1.0, 1, 0.0, 0.0, accepted=True
    )
    return tre_map_mm(found, TARGETS), np.sqrt(squares / trials)


def deviation(pair: tuple[np.ndarray, np.ndarray]) -> str:
    worst = 100.0 * (pair[0] / pair[1] - 1.0)
    return f"{worst[np.argmax(np.abs(worst))]:+.1f} %"


def times() -> None:
    points = np.array(LAYOUTS["six on the skin"], dtype=float)
    rng = np.random.default_rng(3)
    noisy = apply(np.linalg.inv(truth()), points) + rng.normal(0.0, 0.3, points.shape)
    shapes = noises(6)["both"]
    grid = rng.uniform(-150, 150, (128, 128, 3))
    names = tuple("ABCDEF")
    found = register_landmarks(names, points, noisy, 0.0).registration
    print("\n| what, six landmarks | wall ms | processor ms |\n|---|---|---|")
    jobs: dict[str, Callable[[], object]] = {
        "fit": lambda: fit_points(noisy, points),
        "fit, weighted and anisotropic": lambda: fit_points_anisotropic(noisy, points, shapes),
        "fit, every leave-one-out, covariance": lambda: register_landmarks(
            names, points, noisy, 0.0
        ),
        "the same, anisotropic": lambda: register_landmarks(
            names, points, noisy, 0.0, covariances_reference_mm2=shapes
        ),
        "error map, 128 x 128": lambda: tre_map_mm(found, grid),
        "VTK landmark transform": lambda: vtk_fit(noisy, points),
        "SimpleITK landmark initialiser": lambda: itk_fit(noisy, points),
    }
    for name, job in jobs.items():
        wall, cpu = [], []
        job()
        for _ in range(50):
            started, used = time.perf_counter(), time.process_time()
            job()
            wall.append(time.perf_counter() - started)
            cpu.append(time.process_time() - used)
        print(f"| {name} | {1e3 * np.median(wall):.2f} | {1e3 * np.mean(cpu):.2f} |")
    own = fit_points(noisy, points).matrix
    for name, peer in (("VTK", vtk_fit), ("SimpleITK", itk_fit)):
        print(f"\nLargest difference to {name}: {np.abs(peer(noisy, points) - own).max():.1e}")


def vtk_fit(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonTransforms import vtkLandmarkTransform

    lists = []
    for points in (source, target):
        made = vtkPoints()
        made.SetDataTypeToDouble()
        for point in points:
            made.InsertNextPoint(point)
        lists.append(made)
    transform = vtkLandmarkTransform()
    transform.SetSourceLandmarks(lists[0])
    transform.SetTargetLandmarks(lists[1])
    transform.SetModeToRigidBody()
    transform.Update()
    matrix = transform.GetMatrix()
    return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])


def itk_fit(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    import SimpleITK as sitk

    made = sitk.VersorRigid3DTransform(
        sitk.LandmarkBasedTransformInitializer(
            sitk.VersorRigid3DTransform(), source.ravel().tolist(), target.ravel().tolist()
        )
    )
    matrix = np.eye(4)
    rotation, centre = np.array(made.GetMatrix()).reshape(3, 3), np.array(made.GetCenter())
    matrix[:3, :3] = rotation
    matrix[:3, 3] = np.array(made.GetTranslation()) + centre - rotation @ centre
    return matrix


def matchings() -> None:
    print("\n| markers | not touched | strays | right | refused | wrong | processor ms |")
    print("|---|---|---|---|---|---|---|")
    rng = np.random.default_rng(3)
    for count, missing, strays in ((6, 0, 0), (8, 2, 1), (10, 3, 2), (20, 8, 2), (30, 15, 3)):
        tally, used = {"right": 0, "refused": 0, "wrong": 0}, []
        for trial in range(100):
            at = rng.normal(size=(count, 3))
            at[:, 1] = -np.abs(at[:, 1])
            markers = at / np.linalg.norm(at, axis=1)[:, None] * (150.0, 110.0, 200.0)
            kept = rng.permutation(count)[: count - missing]
            noise = rng.normal(0.0, 1.0, (len(kept), 3))
            places = np.vstack([markers[kept] + noise, rng.normal(size=(strays, 3)) * 120.0])
            turn = Rotation.random(random_state=trial)
            order = rng.permutation(len(places))
            expected = {(n, int(kept[one])) for n, one in enumerate(order) if one < len(kept)}
            started = time.process_time()
            try:
                found = match_points(turn.inv().apply(places)[order], markers)
                tally["right" if set(found.pairs) <= expected else "wrong"] += 1
            except RegistrationError:
                tally["refused"] += 1
            used.append(time.process_time() - started)
        cells = " | ".join(str(tally[kind]) for kind in ("right", "refused", "wrong"))
        print(f"| {count} | {missing} | {strays} | {cells} | {1e3 * np.median(used):.0f} |")


if __name__ == "__main__":
    raise SystemExit(main())

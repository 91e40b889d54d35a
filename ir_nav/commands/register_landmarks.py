"""`ir-nav register landmarks`: touched points to those of the CT, by name, order or layout."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from ir_nav.commands.arguments import Point, point_mm
from ir_nav.commands.outcome import Row
from ir_nav.commands.registration_outcome import finish_registration
from ir_nav.geometry import FloatArray, GeometryError
from ir_nav.planning.protocol import RegistrationRules, read_protocol
from ir_nav.registration import LandmarkFit, Registration, RegistrationError, register_landmarks
from ir_nav.registration.matching import TOLERANCE_MM, match_points
from ir_nav.registration.point_files import NamedPoints, read_points
from ir_nav.registration.tre import stated_about

Commands = argparse._SubParsersAction
Pairs = tuple[tuple[str, ...], FloatArray, FloatArray]


def add_landmarks(kinds: Commands[argparse.ArgumentParser]) -> None:
    parser = kinds.add_parser(
        "landmarks",
        help="touched landmarks to those of the CT",
        description="Points as JSON, CSV (name,x,y,z) or Slicer markups (.mrk.json), LPS mm. They "
        "are paired by name, or in their order where neither file names them.",
    )
    parser.add_argument("--ct-points", type=Path, required=True, help="landmarks of the CT")
    parser.add_argument(
        "--reference-points", type=Path, required=True, help="the same, touched, in the reference"
    )
    parser.add_argument("--out", type=Path, required=True, help="registration to write (JSON)")
    parser.add_argument(
        "--target",
        type=point_mm,
        metavar="X,Y,Z",
        help="where the error is predicted, in the CT; by default the middle of the landmarks",
    )
    parser.add_argument(
        "--match", action="store_true", help="find out which touched point is which landmark"
    )
    parser.add_argument(
        "--tolerance-mm",
        type=float,
        default=TOLERANCE_MM,
        help="with --match: how far a point may lie from its landmark (%(default)g)",
    )
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="NAME", help="leave a landmark out"
    )
    parser.add_argument("--protocol", type=Path, help="its [registration] table sets the limits")
    parser.set_defaults(run=_register)


def _register(options: argparse.Namespace) -> int:
    rules = _rules(options.protocol)
    ct, reference = read_points(options.ct_points), read_points(options.reference_points)
    paired = _matched(ct, reference, options) if options.match else _by_name(ct, reference, options)
    names, in_ct, in_reference = _without(paired, options.exclude)
    try:
        fit = register_landmarks(names, in_ct, in_reference, time.time())
    except GeometryError as error:
        raise RegistrationError(str(error)) from None
    found = _judged(fit, options.target, rules)
    return finish_registration("Landmark registration", found, _rows(fit, found), options.out)


def _rules(protocol: Path | None) -> RegistrationRules:
    return RegistrationRules() if protocol is None else read_protocol(protocol).registration


def _matched(ct: NamedPoints, reference: NamedPoints, options: argparse.Namespace) -> Pairs:
    if not 0.0 < options.tolerance_mm <= 50.0:
        raise RegistrationError("--tolerance-mm: give more than 0 and at most 50 mm")
    found = match_points(reference.points, ct.points, options.tolerance_mm, ct.names)
    at, on = (list(numbers) for numbers in zip(*found.pairs, strict=True))
    return tuple(ct.names[marker] for marker in on), ct.points[on], reference.points[at]


def _by_name(ct: NamedPoints, reference: NamedPoints, options: argparse.Namespace) -> Pairs:
    """Points that both files name; in their order where a file names none and both hold as
    many."""
    shared = [name for name in ct.names if name in reference.names]
    if len(ct) != len(reference) and _numbered(ct) and _numbered(reference):
        raise RegistrationError(
            f"{options.ct_points} holds {len(ct)} points without names, "
            f"{options.reference_points} {len(reference)}: name them, or give --match"
        )
    if len(ct) == len(reference) and _numbered(ct) != _numbered(reference):
        return ct.names, ct.points, reference.points
    if len(shared) < 3:
        raise RegistrationError(
            f"{options.ct_points} and {options.reference_points}: only {len(shared)} names stand "
            "in both: give the same names, as many points in the same order without names, or "
            "--match"
        )
    at = [ct.names.index(name) for name in shared]
    touched = [reference.names.index(name) for name in shared]
    return tuple(shared), ct.points[at], reference.points[touched]


def _numbered(points: NamedPoints) -> bool:
    """Whether the file named none of its points."""
    return points.names == tuple(str(number + 1) for number in range(len(points)))


def _without(paired: Pairs, excluded: list[str]) -> Pairs:
    names, in_ct, in_reference = paired
    unknown = sorted(set(excluded) - set(names))
    if unknown:
        raise RegistrationError(f"--exclude {unknown[0]}: no such landmark was paired")
    kept = np.array([name not in excluded for name in names], dtype=bool)
    return tuple(np.array(names)[kept].tolist()), in_ct[kept], in_reference[kept]


def _judged(fit: LandmarkFit, target: Point | None, rules: RegistrationRules) -> Registration:
    """Stated about the target, and refused where it does not keep the limits."""
    found = fit.registration if target is None else stated_about(fit.registration, target)
    tre_mm = found.tre_mm(found.about_ct_mm)
    if len(fit.names) < rules.least_landmarks:
        return found.refused(
            f"{len(fit.names)} landmarks, {rules.least_landmarks} are needed: touch more of them"
        )
    if tre_mm > rules.max_tre_mm:
        worst = fit.names[fit.worst()]
        return found.refused(
            f"{tre_mm:.1f} mm predicted at the target, {rules.max_tre_mm:g} mm are allowed: "
            f"touch the points again, {worst} agrees least"
        )
    return found


def _rows(fit: LandmarkFit, found: Registration) -> list[Row]:
    rows: list[Row] = []
    measured = zip(fit.names, fit.residuals_mm, fit.left_out_mm, strict=True)
    for name, residual_mm, without_mm in measured:
        words = f"{residual_mm:.2f} mm"
        if np.isfinite(without_mm):
            words += f", without it {without_mm:.2f} mm"
        rows.append((f"Residual {name}", words))
    rows += [
        ("Residuals, rms (FRE)", f"{fit.fre_mm:.2f} mm"),
        ("Localisation error, rms (FLE)", f"{fit.fle_mm:.2f} mm"),
        ("Agrees least", fit.names[fit.worst()]),
    ]
    return rows

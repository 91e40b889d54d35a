"""The skin in 3D, coloured by how good a path would go in there."""

from __future__ import annotations

from typing import Final

import numpy as np

from ir_nav.geometry import FloatArray
from ir_nav.gui import theme
from ir_nav.gui.scene_request import Surface
from ir_nav.imaging import BoolArray, Mesh
from ir_nav.planning import SkinMap
from ir_nav.planning.skin import Skin

# From just allowed to as good as can be; the lightness tells it too.
TONES: Final = ("#c9a24a", "#b9c95a", "#7fc96b", theme.GOOD)
PAINT_OPACITY: Final = 0.9
# A triangle's middle lies no farther from the skin voxels than this.
NEAR_MM: Final = 8.0


def painted_skin(
    surfaces: tuple[Surface, ...],
    skin: Skin,
    judged: SkinMap | None,
    keep_out: BoolArray | None = None,
) -> tuple[Surface, ...]:
    """The surfaces with the skin's triangles in the tone of their quality where a path may go, and
    in the tone of danger where keep_out (skin,) forbids it; quality is shown relative to the best
    there is."""
    best = 0.0 if judged is None else float(judged.quality.max(initial=0.0))
    if best <= 0.0 and keep_out is None:
        return surfaces
    share = np.zeros(len(skin))
    if judged is not None and best > 0.0:
        share[:] = judged.quality / best
    forbidden = np.zeros(len(skin), np.bool_) if keep_out is None else keep_out
    shown: list[Surface] = []
    for surface in surfaces:
        if surface.colour != theme.SKIN:
            shown.append(surface)
            continue
        shown += _split(surface, skin, share, forbidden)
    return tuple(shown)


def _split(surface: Surface, skin: Skin, share: FloatArray, forbidden: BoolArray) -> list[Surface]:
    mesh = surface.mesh
    middles = mesh.points_ct_mm[mesh.triangles].mean(axis=1)
    away, nearest = skin.tree.query(middles, distance_upper_bound=NEAR_MM)
    known = np.isfinite(away)
    quality = np.zeros(len(middles))
    quality[known] = share[nearest[known]]
    tone = np.minimum((quality * len(TONES)).astype(int), len(TONES) - 1)
    tone[quality <= 0.0] = -1
    tone[known] = np.where(forbidden[nearest[known]], len(TONES), tone[known])
    parts = [(-1, surface.colour, surface.opacity)]
    parts += [(n, colour, PAINT_OPACITY) for n, colour in enumerate((*TONES, theme.DANGER_ZONE))]
    return [
        Surface(Mesh(mesh.points_ct_mm, mesh.triangles[tone == n]), colour, opacity)
        for n, colour, opacity in parts
        if (tone == n).any()
    ]

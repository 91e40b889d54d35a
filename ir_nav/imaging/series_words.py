"""A series in words: what a list of series says about each."""

from __future__ import annotations

from collections import Counter

from ir_nav.imaging.laterality import SIDES
from ir_nav.imaging.series import SeriesIndex, SeriesSummary

_MODALITIES = {"PT": "PET", "NM": "Nuclear medicine", "RTDOSE": "Dose"}


def modality_words(summary: SeriesSummary) -> str:
    """'CT', 'PET', ..."""
    return _MODALITIES.get(summary.modality, summary.modality) or "unknown modality"


def size_words(summary: SeriesSummary) -> str:
    """'512 × 512 × 133', or the number of images where they are no volume."""
    if summary.size_ijk is None:
        return f"{summary.slice_count} image{'' if summary.slice_count == 1 else 's'}"
    return " × ".join(map(str, summary.size_ijk))


def spacing_words(summary: SeriesSummary) -> str:
    """'0.70 × 0.70 × 2.50 mm'; '' where they are no volume."""
    if summary.spacing_mm is None:
        return ""
    return " × ".join(f"{step:.2f}" for step in summary.spacing_mm) + " mm"


def side_words(summary: SeriesSummary) -> str:
    """'left', 'right', 'both sides' or ''."""
    return {**SIDES, "B": "both sides"}.get(summary.side or "", "")


def object_words(index: SeriesIndex) -> str:
    """'2 structure sets, 1 structured report'; '' where there is nothing but images."""
    counts = Counter(found.kind for found in index.objects)
    return ", ".join(
        f"{count} {kind}{'' if count == 1 or kind.endswith('s') else 's'}"
        for kind, count in sorted(counts.items())
    )


def file_words(index: SeriesIndex) -> tuple[str, ...]:
    """What is wrong with single files, one line each kind."""
    lines = []
    if index.missing:
        count = len(index.missing)
        lines.append(f"{count} file(s) that the disc names are not there: {index.missing[0]}")
    if index.unread:
        more = len(index.unread) - 1
        others = f" (and {more} more)" if more else ""
        lines.append(f"{index.unread[0][1]}{others}")
    return tuple(lines)

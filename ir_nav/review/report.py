"""The procedure on paper: one PDF from a needle log."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from reportlab.graphics.shapes import Circle, Drawing, Line, PolyLine, Rect, String
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import (
    Image,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

from ir_nav import RESEARCH_LABEL
from ir_nav.geometry import perpendicular_basis
from ir_nav.recording import LogContents, ShownTrack
from ir_nav.review.metrics import Review

INK = colors.HexColor("#1c2025")
QUIET = colors.HexColor("#75808b")
PLAN = colors.HexColor("#2f7fb8")
NEEDLE = colors.HexColor("#c98500")
GAP = colors.HexColor("#f2d9d6")
TITLE = ParagraphStyle("title", fontName="Helvetica-Bold", fontSize=18, leading=23, textColor=INK)
HEAD = ParagraphStyle(
    "head", fontName="Helvetica-Bold", fontSize=12, leading=16, spaceBefore=10, textColor=INK
)
BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=9.5, leading=13, textColor=INK)
WIDTH = A4[0] - 36 * mm


def write_report(
    log: LogContents, result: Review, path: Path, pictures: Mapping[str, bytes] | None = None
) -> None:
    """Write the report. pictures: PNG bytes by caption."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = SimpleDocTemplate(
        str(path),
        pagesize=A4,
        leftMargin=18 * mm,
        rightMargin=18 * mm,
        topMargin=16 * mm,
        bottomMargin=20 * mm,
        title="Needle procedure report",
        author=log.software,
    )
    started = datetime.fromtimestamp(log.started_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    story: list[Any] = [
        Paragraph("Needle procedure report", TITLE),
        Paragraph(_escape(f"{started} · {log.software} · log {log.path.name}"), BODY),
        Spacer(1, 4 * mm),
        Paragraph("Planned against achieved", HEAD),
        _table(_result_rows(result)),
        Paragraph("Distance to the target", HEAD),
        _timeline(log.shown),
        Paragraph("Down the planned path, last 30 s before the mark", HEAD),
        _target_plot(log.shown, result),
        Paragraph("Set-up", HEAD),
        _table(_setup_rows(log, result)),
    ]
    for caption, png in (pictures or {}).items():
        story += [Paragraph(_escape(caption), HEAD), _picture(png)]
    story += [Paragraph("Events", HEAD), _table(_event_rows(log))]
    document.build(story, onFirstPage=_footer, onLaterPages=_footer)


def _footer(canvas: Any, document: Any) -> None:
    canvas.saveState()
    canvas.setFont("Helvetica", 8.5)
    canvas.setFillColor(QUIET)
    canvas.drawString(18 * mm, 12 * mm, RESEARCH_LABEL)
    canvas.drawRightString(A4[0] - 18 * mm, 12 * mm, f"Page {document.page}")
    canvas.restoreState()


def _table(rows: list[list[str]]) -> Table:
    cells = [[Paragraph(_escape(text), BODY) for text in row] for row in rows]
    widths = {2: (0.42, 0.58), 3: (0.16, 0.2, 0.64), 4: (0.34, 0.22, 0.22, 0.22)}[len(rows[0])]
    table = Table(cells, colWidths=[WIDTH * width for width in widths], repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, colors.HexColor("#d4d9de")),
                ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#eef1f4")),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("TOPPADDING", (0, 0), (-1, -1), 2.5),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
            ]
        )
    )
    return table


def _result_rows(result: Review) -> list[list[str]]:
    plan, achieved = result.plan, result.achieved
    rows = [["Quantity", "Value"]]
    rows.append(["Path", f"{plan.name}, {plan.path.length_mm:.0f} mm"])
    rows.append(["Planned entry, LPS mm", _point(plan.entry_ct_mm)])
    rows.append(["Planned target, LPS mm", _point(plan.target_ct_mm)])
    if achieved is None:
        rows.append(["Achieved", "no valid guidance round the mark"])
        return rows
    place = achieved.placement
    side = "past" if place.depth_mm >= 0 else "short of"
    rows += [
        ["Achieved tip, LPS mm", _point(tuple(achieved.tip_ct_mm))],
        ["Lateral error", f"{place.lateral_mm:.1f} mm"],
        ["Depth error", f"{abs(place.depth_mm):.1f} mm {side} the target"],
        ["Angle error", f"{place.angle_deg:.1f}°"],
        ["Entry error", f"{result.entry_error_mm:.1f} mm"],
        [
            "Taken from",
            f"{achieved.ticks} valid ticks round "
            + ("the user's mark" if achieved.marked else "the closest approach (nothing marked)"),
        ],
    ]
    return rows


def _setup_rows(log: LogContents, result: Review) -> list[list[str]]:
    def words(value: float | None) -> str:
        return "none" if value is None else f"{value:.2f} mm"

    counts = ", ".join(f"{name} {count}" for name, count in sorted(log.sample_counts.items()))
    return [
        ["Quantity", "Value"],
        ["Needle pivot residual (rms, poses used)", words(result.pivot_rms_mm)],
        ["Landmark residual FRE (rms)", words(result.fre_mm)],
        ["Predicted error at the target TRE (rms)", words(result.tre_predicted_mm)],
        ["Time since registration", f"{result.guided_s:.0f} s"],
        ["Share of it with valid guidance", f"{result.valid_share:.0%}"],
        ["Data records logged", counts],
    ]


def _event_rows(log: LogContents) -> list[list[str]]:
    rows = [["Time", "Kind", "What"]]
    for event in log.events[:400]:
        since_s = event.time_s - log.started_s
        rows.append([f"{since_s:.1f} s", str(event.kind), event.text])
    return rows


def _timeline(shown: ShownTrack) -> Drawing:
    """Distance to the target over time; ground tinted where guidance was blank."""
    height = 42 * mm
    drawing = Drawing(WIDTH, height)
    left, bottom, right, top = 14 * mm, 8 * mm, WIDTH - 2 * mm, height - 3 * mm
    if len(shown.now_s) < 2:
        return drawing
    start_s, span_s = shown.now_s[0], max(float(np.ptp(shown.now_s)), 1e-3)
    top_mm = max(20.0, float(np.nanmax(np.abs(shown.to_target_mm))) if shown.valid.any() else 20.0)
    x = left + (shown.now_s - start_s) / span_s * (right - left)
    y = bottom + np.clip(shown.to_target_mm, 0.0, top_mm) / top_mm * (top - bottom)
    for first, last in _runs(~shown.valid):
        drawing.add(
            Rect(
                x[first], bottom, x[last] - x[first], top - bottom, fillColor=GAP, strokeColor=None
            )
        )
    for first, last in _runs(shown.valid):
        points = np.column_stack([x, y])[first : last + 1 : max(1, (last - first) // 400 or 1)]
        if len(points) > 1:
            drawing.add(PolyLine(points.ravel().tolist(), strokeColor=NEEDLE, strokeWidth=1.2))
    for value in (0.0, top_mm / 2, top_mm):
        level = bottom + value / top_mm * (top - bottom)
        drawing.add(Line(left, level, right, level, strokeColor=QUIET, strokeWidth=0.3))
        drawing.add(_label(f"{value:.0f} mm", left - 2 * mm, level - 2, "end"))
    drawing.add(_label("0 s", left, 2 * mm))
    drawing.add(_label(f"{span_s:.0f} s; tinted: numbers were blank", right, 2 * mm, "end"))
    return drawing


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


def _target_plot(shown: ShownTrack, result: Review) -> Drawing:
    """Tip positions square to the planned path, 5 and 10 mm rings, the mean at the mark."""
    size = 52 * mm
    drawing = Drawing(WIDTH, size)
    centre, scale = size / 2, size / 2 / 12.0
    for radius in (5.0, 10.0):
        drawing.add(
            Circle(
                centre, centre, radius * scale, fillColor=None, strokeColor=QUIET, strokeWidth=0.4
            )
        )
        drawing.add(
            _label(
                f"{radius:.0f} mm",
                centre + radius * scale * 0.71 + 2,
                centre + radius * scale * 0.71,
            )
        )
    drawing.add(Circle(centre, centre, 2, fillColor=PLAN, strokeColor=None))
    achieved = result.achieved
    if achieved is None:
        return drawing
    path = result.plan.path
    right, up = perpendicular_basis(path.direction_ct, (0.0, -1.0, 0.0))
    recent = shown.valid & (shown.now_s <= achieved.end_s) & (shown.now_s > achieved.end_s - 30.0)
    offsets = shown.tip_ct_mm[recent][:: max(1, int(recent.sum()) // 300 or 1)] - path.target_ct_mm
    for offset in offsets:
        u, v = float(offset @ right) * scale, float(offset @ up) * scale
        if max(abs(u), abs(v)) < centre:
            drawing.add(Circle(centre + u, centre + v, 0.8, fillColor=NEEDLE, strokeColor=None))
    mean = achieved.tip_ct_mm - path.target_ct_mm
    u, v = float(mean @ right) * scale, float(mean @ up) * scale
    drawing.add(Circle(centre + u, centre + v, 3, fillColor=None, strokeColor=INK, strokeWidth=1.2))
    drawing.add(_label("blue: target · dots: tip · ring: mean at the mark", size + 6 * mm, centre))
    return drawing


def _label(text: str, x: float, y: float, anchor: str = "start") -> String:
    return String(
        x, y, text, fontName="Helvetica", fontSize=7.5, fillColor=QUIET, textAnchor=anchor
    )


def _picture(png: bytes) -> Image:
    picture = Image(io.BytesIO(png))
    scale = min(WIDTH / picture.imageWidth, 95 * mm / picture.imageHeight)
    picture.drawWidth = picture.imageWidth * scale
    picture.drawHeight = picture.imageHeight * scale
    return picture


def _point(point: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.1f}" for value in point)


def _escape(text: str) -> str:
    """A Paragraph takes markup; names and notes of users are none."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

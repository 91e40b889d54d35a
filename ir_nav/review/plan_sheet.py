"""The plan on paper: one sheet to take into the room, A4 or Letter."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from reportlab.lib import colors, pagesizes
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import (
    KeepTogether,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

from ir_nav import RESEARCH_LABEL
from ir_nav.imaging import Volume
from ir_nav.planning.finding import PlanFinding
from ir_nav.planning.instrument_words import instrument_rows
from ir_nav.planning.patient_words import side_words
from ir_nav.planning.plan import Plan
from ir_nav.planning.plan_errors import PlanError
from ir_nav.planning.target_mask import TargetMask
from ir_nav.review.sheet_drawing import INK, QUIET, CheckBox, Legend, Picture
from ir_nav.review.sheet_rows import (
    COVERAGE,
    aim_rows,
    coverage_line,
    grouped,
    needle_rows,
    place_rows,
    record_rows,
    table_rows,
    two,
    value_words,
    verdict,
)
from ir_nav.review.sheet_views import STANDARD, Window, sheet_views
from ir_nav.whole_file import write_whole

SIDE_MM, TOP_MM, FOOT_MM = 15.0, 24.0, 15.0
GAP_PT = 2.0 * mm
DOTS_PER_MM = 9.0
# Height of a picture over its width.
SHAPE = 0.72
RULE = colors.HexColor("#b9c0c7")
SHADE = colors.HexColor("#eef1f4")

HEAD = ParagraphStyle(
    "head", fontName="Helvetica-Bold", fontSize=10.5, leading=13, spaceBefore=7, spaceAfter=2
)
HEAD.keepWithNext = 1
CELL = ParagraphStyle("cell", fontName="Helvetica", fontSize=8.5, leading=10.5, textColor=INK)
BOLD = ParagraphStyle("bold", parent=CELL, fontName="Helvetica-Bold")


class Paper(StrEnum):
    """Sizes of paper."""

    A4 = "A4"
    LETTER = "Letter"


@dataclass(frozen=True, slots=True, eq=False)
class SheetContent:
    """What a sheet shows.

    findings: measured by whoever planned. checklist: of the protocol. target: drawn as outline.
    aimed_at: what the plan is aimed at, as in Aim.words; the plan's structure by default. carm: the
    C-arm's views along the path, in words.
    """

    plan: Plan
    volume: Volume
    findings: tuple[PlanFinding, ...] = ()
    checklist: tuple[str, ...] = ()
    target: TargetMask | None = None
    window: Window = STANDARD
    aimed_at: str = ""
    carm: str = ""


def write_plan_sheet(content: SheetContent, path: Path, paper: Paper = Paper.A4) -> None:
    """Write the sheet as PDF, whole or not at all; PlanError when it cannot be written."""
    data = io.BytesIO()
    size = pagesizes.A4 if paper is Paper.A4 else pagesizes.LETTER
    document = SimpleDocTemplate(
        data,
        pagesize=size,
        leftMargin=SIDE_MM * mm,
        rightMargin=SIDE_MM * mm,
        topMargin=TOP_MM * mm,
        bottomMargin=FOOT_MM * mm,
        title="Plan sheet",
        author=content.plan.software,
    )
    # Frames pad by 6 points at either side on their own.
    width = size[0] - 2.0 * SIDE_MM * mm - 12.0
    dress = _dress(content, size)
    document.build(_story(content, width), onFirstPage=dress, onLaterPages=dress)
    try:
        write_whole(path, data.getvalue())
    except OSError as error:
        raise PlanError(f"{path}: cannot be written ({error.strerror})") from None


def _story(content: SheetContent, width: float) -> list[Any]:
    plan = content.plan
    wide = (width - GAP_PT) / 2.0
    size_px = (round(wide / mm * DOTS_PER_MM), round(wide / mm * SHAPE * DOTS_PER_MM))
    views = sheet_views(content.volume, plan, content.target, size_px, content.window)
    pictures = [Picture(view, wide) for view in views]
    grid = Table([pictures[:2], pictures[2:]], colWidths=[wide + GAP_PT, wide])
    grid.setStyle(
        TableStyle([(f"{side}PADDING", (0, 0), (-1, -1), 0) for side in ("LEFT", "RIGHT", "TOP")])
    )
    return [
        *_head_parts(content, width),
        Spacer(1, 2.0 * mm),
        grid,
        Legend(views, width),
        Paragraph("Entry, tip and aim", HEAD),
        _table(place_rows(plan, content.volume), width, 4),
        Paragraph("Gantry and table", HEAD),
        _table(table_rows(plan.path, content.carm), width, 2),
        KeepTogether(
            [
                Paragraph("Instrument", HEAD),
                _table(two("Quantity", "Planned", instrument_rows(plan)), width, 2),
            ]
        ),
        *_finding_parts(content.findings, width),
        *_checklist_parts(content.checklist, width),
        KeepTogether(
            [
                Paragraph("This plan", HEAD),
                _table(two("Record", "Value", record_rows(plan, content.aimed_at)), width, 2),
                Spacer(1, 7.0 * mm),
                _signature(width),
            ]
        ),
    ]


def _head_parts(content: SheetContent, width: float) -> list[Any]:
    """What is set at the skin, for every needle; and what an ablation covers, with its verdict."""
    plan = content.plan
    parts: list[Any] = [_table(aim_rows(plan), width, 4)]
    if len(plan.paths) > 1:
        shares = (0.08, 0.09, 0.23, 0.2, 0.24, 0.16)
        parts.append(_table(needle_rows(plan), width, 6, widths=shares))
    covered = coverage_line(plan, content.findings)
    if covered:
        broken = any(one.name in COVERAGE and not one.passes for one in content.findings)
        parts.append(Paragraph(_escape(covered), BOLD if broken else CELL))
    return parts


def _finding_parts(findings: tuple[PlanFinding, ...], width: float) -> list[Any]:
    rows = [["Finding", "Value", "Limit", "Verdict"]]
    bold = []
    for heading, group in grouped(findings):
        if heading:
            bold.append(len(rows))
            rows.append([heading, "", "", ""])
        for one in group:
            if not one.passes:
                bold.append(len(rows))
            name = f"{one.name}: {one.structure}" if one.structure else one.name
            rows.append([name, value_words(one), one.limit_words, verdict(one)])
    if not findings:
        rows.append(["Nothing was measured: plan with the CT's labels", "", "", ""])
    table = _table(rows, width, 4, widths=(0.46, 0.16, 0.16, 0.22), bold=bold)
    return [Paragraph("Findings and limits", HEAD), table]


def _checklist_parts(checklist: tuple[str, ...], width: float) -> list[Any]:
    if not checklist:
        return []
    rows = [[CheckBox(), Paragraph(_escape(words), CELL)] for words in checklist]
    table = Table(rows, colWidths=[7.0 * mm, width - 7.0 * mm])
    table.setStyle(
        TableStyle([("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("TOPPADDING", (0, 0), (-1, -1), 2)])
    )
    return [KeepTogether([Paragraph("Checklist", HEAD), table])]


def _signature(width: float) -> Table:
    table = Table([["Checked by", "", "Date and time", ""]], colWidths=[width / 4.0] * 4)
    table.setStyle(
        TableStyle(
            [
                ("FONT", (0, 0), (-1, -1), "Helvetica", 8.5),
                ("LINEBELOW", (1, 0), (1, 0), 0.6, INK),
                ("LINEBELOW", (3, 0), (3, 0), 0.6, INK),
            ]
        )
    )
    return table


def _table(
    rows: list[list[str]],
    width: float,
    columns: int,
    widths: tuple[float, ...] | None = None,
    bold: list[int] | None = None,
) -> Table:
    """rows: the first is the heading. bold: rows that must not be overlooked."""
    shares = widths or {2: (0.22, 0.78), 4: (0.26, 0.24, 0.26, 0.24)}[columns]
    strong = {0, *(bold or ())}
    cells = [
        [Paragraph(_escape(text), BOLD if number in strong else CELL) for text in row]
        for number, row in enumerate(rows)
    ]
    table = Table(cells, colWidths=[width * share for share in shares], repeatRows=1)
    style: list[Any] = [
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("TOPPADDING", (0, 0), (-1, -1), 1.8),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.2),
    ]
    style += [("BACKGROUND", (0, number), (-1, number), SHADE) for number in sorted(strong)]
    table.setStyle(TableStyle(style))
    return table


def _dress(content: SheetContent, size: tuple[float, float]) -> Callable[[Any, Any], None]:
    """Who, which side and what it is, on every page."""
    info, plan = content.volume.description, content.plan
    name = info.patient_name or "Patient not named"
    shown = _printable(name)
    if "?" in shown and "?" not in name:
        shown = "Name not in Latin letters: see the number"
    dated = f"CT of {info.study_date}" if info.study_date else ""
    number = " · ".join(part for part in (info.patient_id, dated) if part)
    side = side_words(content.volume, plan.path.target_ct_mm)
    job = _printable(" · ".join(part for part in (plan.protocol, plan.name) if part))
    left, right, top = SIDE_MM * mm + 6.0, size[0] - SIDE_MM * mm - 6.0, size[1] - 12.0 * mm

    def dress(canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFillColor(INK)
        canvas.setFont("Helvetica-Bold", 14)
        canvas.drawString(left, top, shown[:48])
        canvas.setFont("Helvetica", 9)
        canvas.setFillColor(QUIET)
        canvas.drawString(left, top - 12.5, _printable(number)[:80])
        canvas.setFillColor(INK)
        canvas.drawString(left, top - 24.5, f"Plan sheet · {job}"[:100])
        _side_box(canvas, side, right, top)
        canvas.setStrokeColor(INK)
        canvas.setLineWidth(0.8)
        canvas.line(left, top - 30.0, right, top - 30.0)
        canvas.setFont("Helvetica-Bold", 8.5)
        canvas.drawString(left, 9.0 * mm, RESEARCH_LABEL)
        canvas.setFont("Helvetica", 8.5)
        canvas.drawRightString(right, 9.0 * mm, f"Page {document.page}")
        canvas.restoreState()

    return dress


def _side_box(canvas: Any, side: str, right: float, top: float) -> None:
    if not side:
        return
    wide = canvas.stringWidth(side, "Helvetica-Bold", 15) + 16.0
    canvas.setStrokeColor(INK)
    canvas.setLineWidth(1.6)
    canvas.rect(right - wide, top - 9.0, wide, 22.0)
    canvas.setFont("Helvetica-Bold", 15)
    canvas.drawCentredString(right - wide / 2.0, top - 3.5, side)


def _printable(text: str) -> str:
    """The paper's fonts hold the letters of Western Europe."""
    return text.replace("\u2212", "-").encode("cp1252", "replace").decode("cp1252")


def _escape(text: str) -> str:
    """A Paragraph takes markup; names and notes of users are none."""
    plain = _printable(text)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

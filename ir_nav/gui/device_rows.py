"""Devices and streams in words: rate, lateness, losses, clock, and why one does not deliver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ir_nav.gui import theme
from ir_nav.gui.rail import status_rows
from ir_nav.session.state import NavigationState, ToolState, ToolStatus
from ir_nav.session.streams import StreamReport
from ir_nav.tracking.quality import WINDOW_S, QualityReport

DEVICE_HEADINGS = ("Rate", "Age", "Refused")
STREAM_HEADINGS = ("Rate", "Latency", "Jitter", "Lost", "Invalid")
UNKNOWN_WORDS = "status unknown: the tracker does not say whether its poses are good"
# Fewer lost ones than this are a network's; a row that is never calm is not read.
MUCH_LOST = 0.02
NONE_YET = ("—",) * len(STREAM_HEADINGS)


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """cells: one for each of `headings`. reason: '' when all is well. note: more to know."""

    name: str
    mark: str
    cells: tuple[str, ...]
    reason: str = ""
    headings: tuple[str, ...] = STREAM_HEADINGS
    note: str = ""


def device_rows(
    state: NavigationState, reports: Sequence[StreamReport] = ()
) -> tuple[DeviceRow, ...]:
    """Devices, then tools, then images; a tool without a report has no numbers."""
    marks = status_rows(state)
    rows: list[DeviceRow] = []
    for device, row in zip(state.devices, marks, strict=False):
        known = device.connected and device.age_s is not None
        cells: tuple[str, ...] = (
            f"{device.rate_hz:.0f} Hz" if known else "—",
            age_words(device.age_s),
            f"{device.refused:,}",
        )
        reason = device.reason or ("" if row.mark == theme.GOOD else row.words)
        note = clock_words([one.quality for one in reports if one.device == device.name])
        rows.append(DeviceRow(row.name, row.mark, cells, reason, DEVICE_HEADINGS, note))
    by_role = {report.role: report for report in reports if report.role is not None}
    for tool, row in zip(state.tools, marks[len(state.devices) :], strict=True):
        report = by_role.get(tool.role)
        cells = NONE_YET if report is None else _cells(report.quality)
        mark, reason = row.mark, tool_words(tool)
        if not reason and report is not None and (reason := _losses(report.quality)):
            mark = theme.ALARM_MEDIUM
        note = "" if report is None else stamp_words(report)
        rows.append(DeviceRow(row.name, mark, cells, reason, note=note))
    return (*rows, *(_image_row(report) for report in reports if report.role is None))


def tool_words(tool: ToolStatus) -> str:
    """What the tracker says of a tool that is not plainly OK, and since when; else ''."""
    if tool.state is ToolState.OK:
        return ""
    if tool.state is ToolState.UNKNOWN:
        return UNKNOWN_WORDS
    if tool.state is ToolState.NEVER or tool.age_s is None:
        return tool.state.value
    return f"{tool.state.value} {age_words(tool.age_s)}"


def clock_words(qualities: Sequence[QualityReport]) -> str:
    """A device's clock against ours, by the stream of it that comes in quickest; '' for none.

    The offset holds the shortest way that a sample takes: one-way measurements cannot part them.
    """
    known = [one for one in qualities if one.offset_s is not None]
    if not known:
        return ""
    best = min(known, key=lambda one: one.offset_s or 0.0)
    if best.clock_reason is not None:
        return best.clock_reason
    words = f"Clock offset {_signed_ms(best.offset_s or 0.0)}, "
    # Zero itself stands for a stretch too short for a slope.
    drift = best.drift_ppm or 0.0
    words += (
        f"drift {drift:+.{1 if abs(drift) < 10 else 0}f} ppm" if drift else "drift not known yet"
    )
    if best.clock_jumps:
        words += f", set anew {best.clock_jumps}×"
    return words.replace("-", "−")


def stamp_words(report: StreamReport) -> str:
    """The jitter of a stream's own time stamps, as sent and as used, while they are smoothed;
    else ''."""
    stamps = report.stamps
    if stamps is None or not stamps.smoothed:
        return ""
    return f"Time stamps jitter by {_ms(stamps.raw_s)}, smoothed to {_ms(stamps.used_s)}"


def age_words(age_s: float | None) -> str:
    """An age in ms, or in s from one second on."""
    if age_s is None:
        return "—"
    return f"{age_s * 1e3:.0f} ms" if age_s < 1.0 else f"{age_s:.1f} s"


def _image_row(report: StreamReport) -> DeviceRow:
    quality = report.quality
    cells, name = _cells(quality), report.name
    if quality.age_s is None:
        return DeviceRow(name, theme.TEXT_3, cells, "no image yet")
    if not quality.samples:
        words = f"no image for {age_words(quality.age_s)}"
        return DeviceRow(name, theme.ALARM_MEDIUM, cells, words)
    reason = _losses(quality)
    mark = theme.ALARM_MEDIUM if reason else theme.GOOD
    return DeviceRow(name, mark, cells, reason, note=stamp_words(report))


def _losses(quality: QualityReport) -> str:
    if quality.dropped_share < MUCH_LOST:
        return ""
    return f"{quality.dropped} of {quality.samples + quality.dropped} lost in {WINDOW_S} s"


def _cells(quality: QualityReport) -> tuple[str, ...]:
    if not quality.samples:
        return NONE_YET
    rate = f"{quality.rate_hz:.0f} Hz" if quality.rate_hz >= 10 else f"{quality.rate_hz:.1f} Hz"
    return (
        rate,
        _ms(quality.latency_s),
        _ms(quality.jitter_s),
        f"{quality.dropped}",
        f"{quality.invalid_share:.0%}",
    )


def _ms(time_s: float | None) -> str:
    if time_s is None:
        return "—"
    return f"{time_s * 1e3:.1f} ms" if time_s < 0.1 else f"{time_s * 1e3:.0f} ms"


def _signed_ms(time_s: float) -> str:
    return f"{time_s * 1e3:+.1f} ms" if abs(time_s) < 1.0 else f"{time_s:+.2f} s"

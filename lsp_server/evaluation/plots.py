"""Bars and spots as an SVG that is readable on light and on dark pages. Knows nothing of what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from lsp_server.evaluation.figures import figure

WIDTH, MARGIN = 760, 24
LABEL_END, BAR_START, BAR_END = 236, 248, 580  # x; the figures stand behind the bars, up to the column of notes
BAR, BAR_GAP, ROW_GAP, PANEL_GAP = 12, 3, 11, 16
LEGEND_CHAR = 7.2  # mean width of a letter
FIELD_START, FIELD_END, FIELD_HEIGHT = 64, WIDTH - MARGIN, 200
MOST_RADIUS = 12
MOST_TICKS = 6

_COLOURS = (  # on light pages, on dark ones
    ("#4f5bd5", "#7f8cff"),
    ("#aeb6c2", "#656c76"),
    ("#c2571a", "#f0883e"),
    ("#1a7f5a", "#3fb98a"),
    ("#9a4fb5", "#c98be0"),
    ("#8a6d00", "#d4a72c"),
)
_STYLE = """
svg { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: #1f2328 }
.card { fill: #ffffff; stroke: #d1d9e0 }
.title { font-size: 17px; font-weight: 600 }
.panel { font-weight: 600 }
.note, .foot { fill: #59636e; font-size: 12px }
.foot { font-size: 11px }
.figure { font-size: 12px; font-variant-numeric: tabular-nums }
.ratio { font-weight: 600; font-variant-numeric: tabular-nums }
.range { stroke: #1f2328; stroke-width: 1.5; stroke-opacity: 0.75 }
.one { stroke: #59636e; stroke-dasharray: 3 3 }
.grid { stroke: #d1d9e0 }
.star { font-size: 15px; text-anchor: middle }
%s
@media (prefers-color-scheme: dark) {
  svg { fill: #f0f6fc }
  .card { fill: #0d1117; stroke: #3d444d }
  .note, .foot { fill: #9198a1 }
  .range { stroke: #f0f6fc }
  .one { stroke: #9198a1 }
  .grid { stroke: #3d444d }
%s
}
"""


@dataclass(frozen=True)
class Bar:
    """A figure of one series, by its key, with what it lies in."""

    series: str
    value: float
    interval: tuple[float, float] | None = None

    @property
    def end(self) -> float:
        """How far it reaches, with the line on it."""
        return max(self.value, self.interval[1] if self.interval else 0)


@dataclass(frozen=True)
class Row:
    """Bars that belong together, and what stands in the column on the right."""

    title: str
    bars: Sequence[Bar]
    note: str = ""

    @property
    def height(self) -> int:
        """In pixels."""
        return len(self.bars) * (BAR + BAR_GAP) - BAR_GAP


@dataclass(frozen=True)
class Panel:
    """Rows of one unit ("ms", "%", "×" or another) on one scale. `column` is the title of the rows' notes."""

    title: str
    note: str
    unit: str
    rows: Sequence[Row]
    column: str = ""


@dataclass(frozen=True)
class Spot:
    """A figure of one series to the right, a share with what it lies in upwards, and a third figure as its area."""

    series: str
    x: float
    y: float
    interval: tuple[float, float] | None
    area: float
    has_star: bool


@dataclass(frozen=True)
class Field:
    """Spots between two axes that begin at 0. `unit` is that of `x`."""

    title: str
    note: str
    unit: str
    spots: Sequence[Spot]


def draw(
    title: str, subtitle: str, series: Mapping[str, str], panels: Sequence[Panel | Field], foot: Sequence[str]
) -> str:
    """The whole picture. `series`: names by key, which may stand in a CSS class; one alone needs no legend."""
    picture = ElementTree.Element("svg", xmlns="http://www.w3.org/2000/svg", role="img")
    _add(picture, "title", text=title)
    _add(picture, "style", text=_style(series))
    card = _add(picture, "rect", "card", x=0.5, y=0.5, width=WIDTH - 1, rx=8)
    _write(picture, MARGIN, 38, title, "title")
    _write(picture, MARGIN, 59, subtitle, "note")
    y = 92.0
    if len(series) > 1:
        y = _legend(picture, series, y - 4) + 34
    for panel in panels:
        if isinstance(panel, Field):
            y = _field(picture, panel, y)
        elif panel.rows:
            y = _panel(picture, panel, y)
    for line in foot:
        _write(picture, MARGIN, y, line, "foot")
        y += 16
    card.set("height", f"{y + 3:g}")
    picture.attrib |= {"width": str(WIDTH), "height": f"{y + 4:g}", "viewBox": f"0 0 {WIDTH} {y + 4:g}"}
    return ElementTree.tostring(picture, encoding="unicode") + "\n"


def _style(series: Mapping[str, str]) -> str:
    colours = [(key, *_COLOURS[n % len(_COLOURS)]) for n, key in enumerate(series)]
    light = "\n".join(f".{key} {{ fill: {colour} }}" for key, colour, _dark in colours)
    return _STYLE % (light, "\n".join(f"  .{key} {{ fill: {colour} }}" for key, _light, colour in colours))


def _legend(picture: Element, series: Mapping[str, str], y: float) -> float:
    """Write the series' names, on as many lines as they need; returns where the last one stands."""
    x: float = MARGIN
    for key, name in series.items():
        width = BAR + 6 + LEGEND_CHAR * len(name) + 22
        if x > MARGIN and x + width > WIDTH:
            x, y = MARGIN, y + 20
        _add(picture, "rect", key, x=x, y=y - 10, width=BAR, height=BAR, rx=2)
        _write(picture, x + BAR + 6, y, name, "label")
        x += width
    return y


def _panel(picture: Element, panel: Panel, y: float) -> float:
    """Draw a panel from `y` down; returns where the next one begins."""
    _write(picture, MARGIN, y, panel.title, "panel")
    _write(picture, BAR_START, y, panel.note, "note")
    _write(picture, WIDTH - MARGIN, y, panel.column, "note", "end")
    largest = max((bar.end for row in panel.rows for bar in row.bars), default=0)
    scale = (BAR_END - BAR_START) / (1.0 if panel.unit == "%" else largest or 1.0)
    top = y = y + 14
    for row in panel.rows:
        _row(picture, row, panel.unit, y, scale)
        y += row.height + ROW_GAP
    if panel.unit == "×" and largest > 1:
        x = BAR_START + scale
        _add(picture, "line", "one", x1=x, x2=x, y1=top - 4, y2=y - ROW_GAP + 4)
    return y + PANEL_GAP + 10


def _field(picture: Element, field: Field, y: float) -> float:
    """Draw the axes with their grid and the spots from `y` down; returns where the next panel begins."""
    _write(picture, MARGIN, y, field.title, "panel")
    _write(picture, BAR_START, y, field.note, "note")
    top, bottom = y + 20, y + 20 + FIELD_HEIGHT
    x_ticks = _ticks(max(spot.x for spot in field.spots))
    y_ticks = _ticks(max(Bar("", spot.y, spot.interval).end for spot in field.spots))
    x_scale = (FIELD_END - FIELD_START) / x_ticks[-1]
    y_scale = -FIELD_HEIGHT / y_ticks[-1]
    for value in x_ticks:
        x = FIELD_START + value * x_scale
        _add(picture, "line", "grid", x1=x, x2=x, y1=top, y2=bottom)
        anchor = "end" if value == x_ticks[-1] else "middle"
        _write(picture, x, bottom + 16, figure(value, field.unit), "note", anchor)
    for value in y_ticks:
        at = bottom + value * y_scale
        _add(picture, "line", "grid", x1=FIELD_START, x2=FIELD_END, y1=at, y2=at)
        _write(picture, FIELD_START - 8, at + 4, f"{100 * value:.0f} %", "note", "end")
    largest = max(spot.area for spot in field.spots) or 1.0
    for spot in sorted(field.spots, key=lambda spot: -spot.area):
        x, at = FIELD_START + spot.x * x_scale, bottom + spot.y * y_scale
        if spot.interval:
            low, high = (bottom + value * y_scale for value in spot.interval)
            _add(picture, "line", "range", x1=x, x2=x, y1=low, y2=high)
        _add(picture, "circle", spot.series, cx=x, cy=at, r=MOST_RADIUS * (spot.area / largest) ** 0.5)
        if spot.has_star:
            _add(picture, "text", "star", "★", x=x, y=at + 5)
    return bottom + 36 + PANEL_GAP


def _ticks(largest: float) -> list[float]:
    """Round values from 0 to beyond the largest."""
    steps = (factor * 10.0**power for power in range(-3, 9) for factor in (1, 2, 5))
    step = next((step for step in steps if step * (MOST_TICKS - 1) >= largest), largest)
    return [round(n * step, 6) for n in range(math.ceil(largest / step) + 1)] if largest else [0.0, 1.0]


def _row(picture: Element, row: Row, unit: str, y: float, scale: float) -> None:
    middle = y + row.height / 2 + 4.5
    _write(picture, LABEL_END, middle, row.title, "label", "end")
    _write(picture, WIDTH - MARGIN, middle, row.note, "ratio", "end")
    for bar in row.bars:
        width = max(1.5, bar.value * scale)
        _add(picture, "rect", bar.series, x=BAR_START, y=y, width=width, height=BAR, rx=2)
        if bar.interval:
            low, high = (BAR_START + value * scale for value in bar.interval)
            _add(picture, "line", "range", x1=low, x2=high, y1=y + BAR / 2, y2=y + BAR / 2)
            for x in (low, high):
                _add(picture, "line", "range", x1=x, x2=x, y1=y + 3, y2=y + BAR - 3)
        at = BAR_START + max(width, bar.end * scale) + 6
        _write(picture, at, y + BAR - 2, figure(bar.value, unit), "figure")
        y += BAR + BAR_GAP


def _write(picture: Element, x: float, y: float, text: str, kind: str, anchor: str = "start") -> None:
    if text:
        _add(picture, "text", kind, text, x=x, y=y).set("text-anchor", anchor)


def _add(picture: Element, tag: str, kind: str = "", text: str | None = None, **numbers: float) -> Element:
    """Add an element of a class, at places rounded to a tenth."""
    element = ElementTree.SubElement(picture, tag, {"class": kind} if kind else {})
    element.attrib |= {name: f"{round(number, 1):g}" for name, number in numbers.items()}
    element.text = text
    return element

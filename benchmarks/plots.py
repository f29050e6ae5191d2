"""Draw what a benchmark measured, from its JSON file, as an SVG that is readable on light and on dark pages.

usage: python benchmarks/plots.py RESULT.json -o FILE.svg

A result has `title`, `subtitle`, `machine`, `summary` (rows) and `panels` (which rows belong together). A bar
is a row's figure, the line on it reaches from the smallest to the largest among several runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import figures

WIDTH, MARGIN = 760, 24
LABEL_END, BAR_START, BAR_END = 236, 248, 580  # x; the figures stand behind the bars, up to the column of ratios
BAR, BAR_GAP, ROW_GAP, PANEL_GAP = 12, 3, 11, 16
SIDES = {"kruk": "Kruk", "peer": "llama.cpp's server"}  # keys of a row, and classes of its bars; their names

_STYLE = """
svg { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: #1f2328 }
.card { fill: #ffffff; stroke: #d1d9e0 }
.title { font-size: 17px; font-weight: 600 }
.panel { font-weight: 600 }
.note, .foot { fill: #59636e; font-size: 12px }
.foot { font-size: 11px }
.figure { font-size: 12px; font-variant-numeric: tabular-nums }
.ratio { font-weight: 600; font-variant-numeric: tabular-nums }
.kruk { fill: #4f5bd5 }
.peer { fill: #aeb6c2 }
.range { stroke: #1f2328; stroke-width: 1.5; stroke-opacity: 0.75 }
.one { stroke: #59636e; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) {
  svg { fill: #f0f6fc }
  .card { fill: #0d1117; stroke: #3d444d }
  .note, .foot { fill: #9198a1 }
  .kruk { fill: #7f8cff }
  .peer { fill: #656c76 }
  .range { stroke: #f0f6fc }
  .one { stroke: #9198a1 }
}
"""


def main() -> int:
    """Draw one file; the exit code is 1 when it is not a result that can be drawn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("result", metavar="RESULT.json", type=Path, help="what a benchmark wrote with --json")
    parser.add_argument("-o", "--output", metavar="FILE.svg", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        save(json.loads(arguments.result.read_text(encoding="utf-8")), arguments.output)
    except (OSError, ValueError, KeyError) as error:
        print(f"`{arguments.result}` cannot be drawn: {error!r}", file=sys.stderr)
        return 1
    return 0


def save(result: dict[str, Any], path: Path) -> None:
    """Draw into a file. Raises KeyError when a part of the result is missing, and OSError."""
    picture = draw(result)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(picture, encoding="utf-8")


def draw(result: dict[str, Any]) -> str:
    """The whole picture. Rows without a figure and panels without a row are left out. Raises KeyError."""
    by_title = {row["title"]: row for row in result["summary"] if row["kruk"] is not None}
    picture = ElementTree.Element("svg", xmlns="http://www.w3.org/2000/svg", role="img")
    _add(picture, "title", text=result["title"])
    _add(picture, "style", text=_STYLE)
    card = _add(picture, "rect", "card", x=0.5, y=0.5, width=WIDTH - 1, rx=8)
    _write(picture, MARGIN, 38, result["title"], "title")
    _write(picture, MARGIN, 59, result["subtitle"], "note")
    y = 92.0
    if any(row["peer"] is not None for row in by_title.values()):
        _legend(picture, y - 4)
        y += 30
    for panel in result["panels"]:
        if rows := [by_title[title] for title in panel["rows"] if title in by_title]:
            y = _panel(picture, panel, rows, y)
    for line in footer(result["machine"]):
        _write(picture, MARGIN, y, line, "foot")
        y += 16
    card.set("height", f"{y + 3:g}")
    picture.attrib |= {"width": str(WIDTH), "height": f"{y + 4:g}", "viewBox": f"0 0 {WIDTH} {y + 4:g}"}
    return ElementTree.tostring(picture, encoding="unicode") + "\n"


def footer(machine: dict[str, Any]) -> list[str]:
    """When and on what it was measured, and with which versions."""
    place = f"{machine['processors']} × {machine['processor']}, {machine['memory_gib']} GiB"
    names = {"kruk": "Kruk", "llama-cpp-python": "llama-cpp-python", "xllamacpp": "xllamacpp", "python": "Python"}
    versions = ", ".join(f"{name} {machine[key]}" for key, name in names.items() if machine.get(key))
    return [f"{machine['date']} · {place} · {machine['system']}", versions]


def _panel(picture: Element, panel: dict[str, Any], rows: Sequence[dict[str, Any]], y: float) -> float:
    """Draw a panel from `y` down; returns where the next one begins."""
    _write(picture, MARGIN, y, panel["title"], "panel")
    _write(picture, BAR_START, y, panel["note"], "note")
    if any(row["ratio"] is not None for row in rows):
        _write(picture, WIDTH - MARGIN, y, "Kruk ÷ peer", "note", "end")
    unit, largest = rows[0]["unit"], max(_end(row, side) for row in rows for side in _sides(row))
    scale = (BAR_END - BAR_START) / (1.0 if unit == "%" else largest or 1.0)
    top = y = y + 14
    for row in rows:
        _row(picture, row, y, scale)
        y += _height(row) + ROW_GAP
    if unit == "×" and largest > 1:
        x = BAR_START + scale
        _add(picture, "line", "one", x1=x, x2=x, y1=top - 4, y2=y - ROW_GAP + 4)
    return y + PANEL_GAP + 10


def _row(picture: Element, row: dict[str, Any], y: float, scale: float) -> None:
    middle = y + _height(row) / 2 + 4.5
    _write(picture, LABEL_END, middle, row["title"], "label", "end")
    if row["ratio"] is not None:
        _write(picture, WIDTH - MARGIN, middle, f"{row['ratio']:.2g}", "ratio", "end")
    for side in _sides(row):
        width = max(1.5, row[side] * scale)
        _add(picture, "rect", side, x=BAR_START, y=y, width=width, height=BAR, rx=2)
        if interval := row[f"{side}_interval"]:
            low, high = (BAR_START + value * scale for value in interval)
            _add(picture, "line", "range", x1=low, x2=high, y1=y + BAR / 2, y2=y + BAR / 2)
            for x in (low, high):
                _add(picture, "line", "range", x1=x, x2=x, y1=y + 3, y2=y + BAR - 3)
        at = BAR_START + max(width, _end(row, side) * scale) + 6
        _write(picture, at, y + BAR - 2, figures.figure(row[side], row["unit"]), "figure")
        y += BAR + BAR_GAP


def _legend(picture: Element, y: float) -> None:
    x = MARGIN
    for side, name in SIDES.items():
        _add(picture, "rect", side, x=x, y=y - 10, width=BAR, height=BAR, rx=2)
        _write(picture, x + BAR + 6, y, name, "label")
        x += 76


def _sides(row: dict[str, Any]) -> list[str]:
    return [side for side in SIDES if row[side] is not None]


def _height(row: dict[str, Any]) -> int:
    return len(_sides(row)) * (BAR + BAR_GAP) - BAR_GAP


def _end(row: dict[str, Any], side: str) -> float:
    """How far a bar reaches, with the line on it."""
    interval = row[f"{side}_interval"]
    return float(max(row[side], interval[1] if interval else 0))


def _write(picture: Element, x: float, y: float, text: str, kind: str, anchor: str = "start") -> None:
    _add(picture, "text", kind, text, x=x, y=y).set("text-anchor", anchor)


def _add(picture: Element, tag: str, kind: str = "", text: str | None = None, **numbers: float) -> Element:
    """Add an element of a class, at places rounded to a tenth."""
    element = ElementTree.SubElement(picture, tag, {"class": kind} if kind else {})
    element.attrib |= {name: f"{round(number, 1):g}" for name, number in numbers.items()}
    element.text = text
    return element


if __name__ == "__main__":
    sys.exit(main())

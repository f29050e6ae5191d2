"""Draw what a benchmark measured, from its JSON file, as an SVG that is readable on light and on dark pages.

usage: python benchmarks/plots.py RESULT.json -o FILE.svg

A result has `title`, `subtitle`, `machine`, `summary` (rows) and `panels` (which rows belong together). A bar
is a row's figure, the line on it reaches from the smallest to the largest among several runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import figures

from lsp_server.evaluation import plots

SIDES = {"kruk": "Kruk", "peer": "llama.cpp's server"}  # keys of a row, and classes of its bars; their names


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
    panels = []
    for panel in result["panels"]:
        rows = [by_title[title] for title in panel["rows"] if title in by_title]
        column = "Kruk ÷ peer" if any(row["ratio"] is not None for row in rows) else ""
        unit = rows[0]["unit"] if rows else ""
        panels.append(plots.Panel(panel["title"], panel["note"], unit, [_row(row) for row in rows], column))
    has_peer = any(row["peer"] is not None for row in by_title.values())
    series = SIDES if has_peer else {"kruk": SIDES["kruk"]}
    foot = figures.machine_lines(result["machine"])
    return plots.draw(result["title"], result["subtitle"], series, panels, foot)


def _row(row: dict[str, Any]) -> plots.Row:
    bars = [plots.Bar(side, row[side], row[f"{side}_interval"]) for side in SIDES if row[side] is not None]
    return plots.Row(row["title"], bars, "" if row["ratio"] is None else f"{row['ratio']:.2g}")


if __name__ == "__main__":
    sys.exit(main())

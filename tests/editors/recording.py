"""A recording of a terminal's screen as one animated SVG: each row is drawn once for as long as it stays the same."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

CELL = (8.4, 18.0)  # of a font of 14 px
MARGIN = 12.0
LONGEST_S = 1.2  # that a screen may stand without anything happening, unless `rest` says more
END_S = 3.0
TEXT, GROUND = 0xE0E2EA, 0x14161B  # Neovim's own dark colours

Run = tuple[str, int, int, str]  # text, colour, background (-1: the default), attributes among `biur`
Row = tuple[Run, ...]


class Frame(NamedTuple):
    rows: tuple[Row, ...]
    cursor: tuple[int, int]  # row, column


class Recording:
    """What was on the screen, and for how long."""

    def __init__(self) -> None:
        self._frames: list[tuple[float, Frame]] = []  # with the time at which each begins
        self._now = 0.0
        self._seen_at = time.monotonic()

    def add(self, cells: Sequence[Sequence[object]]) -> None:
        """Take the screen as it is now: rows of runs, and the cursor at the end."""
        *rows, cursor = cells
        frame = Frame(
            tuple(tuple(tuple(run) for run in row) for row in rows),  # type: ignore[misc,arg-type]
            tuple(cursor),  # type: ignore[arg-type]
        )
        now = time.monotonic()
        if not self._frames:
            self._frames.append((0.0, frame))
        elif frame != self._frames[-1][1]:
            self._now += min(now - self._seen_at, LONGEST_S)
            self._frames.append((self._now, frame))
        else:
            return  # the time that nothing happens is counted when something does
        self._seen_at = now

    def rest(self, seconds: float) -> None:
        """Let the screen stand for so long."""
        self._now += seconds
        self._seen_at = time.monotonic()

    def write(self, path: Path, title: str) -> None:
        """Write the SVG. The folder is made when it is missing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._svg(title), encoding="utf-8", newline="\n")

    def _svg(self, title: str) -> str:
        last = self._frames[-1][1]
        n_rows, n_columns = len(last.rows), max(sum(len(run[0]) for run in row) for row in last.rows)
        width, height = n_columns * CELL[0] + 2 * MARGIN, n_rows * CELL[1] + 2 * MARGIN
        length = self._now + END_S
        body = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">',
            f"<title>{escape(title)}</title>",
            "<style>text{font:14px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}"
            "g{visibility:hidden}.b{font-weight:bold}.i{font-style:italic}.u{text-decoration:underline}</style>",
            f'<rect width="100%" height="100%" rx="8" fill="{_colour(GROUND)}"/>',
        ]
        for number in range(n_rows):
            for begin, end, row in self._spans([(at, frame.rows[number]) for at, frame in self._frames], length):
                if drawn := _row(row, number):
                    body.append(_timed(drawn, begin, end, length))
        for begin, end, (row, column) in self._spans([(at, it.cursor) for at, it in self._frames], length):
            x, y = MARGIN + column * CELL[0], MARGIN + row * CELL[1]
            block = f'<rect x="{x:g}" y="{y:g}" width="2" height="{CELL[1]:g}" fill="{_colour(TEXT)}"/>'
            body.append(_timed(block, begin, end, length))
        return "\n".join([*body, "</svg>\n"])

    @staticmethod
    def _spans(values: Sequence[tuple[float, object]], length: float) -> list[tuple[float, float, object]]:
        """Each value with the time from which and up to which it stays the same."""
        spans: list[tuple[float, float, object]] = []
        for (begin, value), (end, _) in zip(values, [*values[1:], (length, None)], strict=True):
            if spans and spans[-1][2] == value:
                begin = spans.pop()[0]
            spans.append((begin, end, value))
        return spans


def _timed(drawn: str, begin: float, end: float, length: float) -> str:
    """Something that is there for a while, in each round."""
    if begin == 0 and end == length:
        return f'<g visibility="visible" style="visibility:visible">{drawn}</g>'
    times = f"0;{begin / length:.4f};{end / length:.4f}" if begin else f"0;{end / length:.4f}"
    values = "hidden;visible;hidden" if begin else "visible;hidden"
    animated = (
        f'<animate attributeName="visibility" calcMode="discrete" dur="{length:.2f}s" repeatCount="indefinite" '
        f'keyTimes="{times}" values="{values}"/>'
    )
    return f"<g>{animated}{drawn}</g>"


def _row(row: Row, number: int) -> str:
    y, column, out, pieces = MARGIN + number * CELL[1], 0, [], []
    for text, colour, ground, attributes in row:
        if "r" in attributes:
            colour, ground = (GROUND if ground < 0 else ground), (TEXT if colour < 0 else colour)
        x, width = MARGIN + column * CELL[0], len(text) * CELL[0]
        if ground >= 0 and ground != GROUND:
            out.append(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{CELL[1]:g}" fill="{_colour(ground)}"/>')
        if text.strip():
            lead = len(text) - len(text.lstrip())
            words = text.strip()
            classes = " ".join(name for name in "biu" if name in attributes)
            pieces.append(
                f'<tspan x="{x + lead * CELL[0]:g}" textLength="{len(words) * CELL[0]:.1f}" '
                f'fill="{_colour(TEXT if colour < 0 else colour)}"{f" class={classes!r}" if classes else ""}>'
                f"{escape(words, quote=False)}</tspan>"
            )
        column += len(text)
    if pieces:
        out.append(f'<text y="{y + 13.5:g}">{"".join(pieces)}</text>')
    return "".join(out)


def _colour(value: object) -> str:
    return f"#{value:06x}"

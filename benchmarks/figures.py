"""Figures of two sides, and how they are shown; what one side needs is in lsp_server/evaluation/figures.py."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lsp_server.evaluation.figures import UNKNOWN as UNKNOWN
from lsp_server.evaluation.figures import bootstrap as bootstrap
from lsp_server.evaluation.figures import edit_similarity as edit_similarity
from lsp_server.evaluation.figures import figure as figure
from lsp_server.evaluation.figures import machine as machine
from lsp_server.evaluation.figures import machine_lines as machine_lines
from lsp_server.evaluation.figures import mean as mean
from lsp_server.evaluation.figures import percentile as percentile


@dataclass(frozen=True)
class Row:
    """One line of the summary.

    Attributes:
        title: What the figure is.
        kruk, peer: The figure of each side; None: not measured.
        unit: Printed after the figures: "ms", "%", or nothing. A "%" is kept as a share, from 0 to 1.
        ratio: Kruk ÷ peer; None: there is none to show.
        spread: The smallest and the largest ratio among several runs.
        kruk_interval, peer_interval: What each figure lies in: the bootstrap's 95 % confidence, or the smallest and
            the largest among several runs.
    """

    title: str
    kruk: float | None
    peer: float | None = None
    unit: str = ""
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    kruk_interval: tuple[float, float] | None = None
    peer_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Panel:
    """A part of the plot: some rows of the summary, by title, that have a unit in common."""

    title: str
    note: str
    rows: tuple[str, ...]


def row_of_runs(
    title: str,
    unit: str,
    kruk: Sequence[float | None],
    peer: Sequence[float | None],
    kruk_all: float | None = None,
    peer_all: float | None = None,
) -> Row:
    """A row from the figure of each run on both sides, in the same order of runs.

    Shown are the figures of all runs together where they are given, else the medians. A ratio is of the same run; of
    several runs, the median.
    """
    ratios = [ratio for pair in zip(kruk, peer, strict=True) if (ratio := divide(*pair)) is not None]
    return Row(
        title,
        median(kruk) if kruk_all is None else kruk_all,
        median(peer) if peer_all is None else peer_all,
        unit,
        ratio=median(ratios),
        spread=extremes(ratios),
        kruk_interval=extremes(kruk),
        peer_interval=extremes(peer),
    )


def median(values: Sequence[float | None]) -> float | None:
    """The median of what is known; None of nothing."""
    return percentile([value for value in values if value is not None], 0.5)


def counts(cases: Sequence[Any]) -> str:
    """Holes and runs of a benchmark's cases, for its subtitle."""
    return f"{len({case.hole for case in cases})} holes, {len({case.run for case in cases})} runs"


def extremes(values: Sequence[float | None]) -> tuple[float, float] | None:
    """The smallest and the largest among several runs; None of fewer than two."""
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if len(known) > 1 else None


def divide(kruk: float | None, peer: float | None) -> float | None:
    """Kruk ÷ peer; None when either is missing or the peer's is 0."""
    return None if kruk is None or not peer else kruk / peer


def show(rows: Sequence[Row], title: str, console: Console | None = None) -> None:
    """Print the summary; the peer's columns only when it was measured."""
    has_peer = any(row.peer is not None for row in rows)
    table = Table(title=title, title_justify="left")
    table.add_column("figure")
    for name in ["Kruk", "peer", "Kruk ÷ peer"] if has_peer else ["Kruk"]:
        table.add_column(name, justify="right")
    for row in rows:
        cells = [figure(row.kruk, row.unit, row.kruk_interval)]
        if has_peer:
            cells += [figure(row.peer, row.unit, row.peer_interval), _ratio(row)]
        table.add_row(row.title, *cells)
    (console or Console()).print(table)


def save(path: Path, **parts: Any) -> None:
    """Write everything that was measured as JSON."""
    path.write_text(json.dumps(parts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _ratio(row: Row) -> str:
    if row.ratio is None:
        return UNKNOWN
    return f"{row.ratio:.3f}" + (f" ({row.spread[0]:.3f}–{row.spread[1]:.3f})" if row.spread else "")

"""Figures from many measurements, and how they are shown. Knows nothing of what was measured."""

from __future__ import annotations

import difflib
import importlib.metadata
import json
import os
import platform
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lsp_server import __version__

N_RESAMPLES = 1000
UNKNOWN = "–"


@dataclass(frozen=True)
class Row:
    """One line of the summary.

    Attributes:
        title: What the figure is.
        kruk, peer: The figure of each side; None: not measured.
        unit: Printed after the figures: "ms", "%", or nothing.
        ratio: Kruk ÷ peer; None: there is none to show.
        spread: The smallest and the largest ratio among several runs.
        kruk_interval, peer_interval: What each figure lies in with 95 % confidence.
    """

    title: str
    kruk: float | None
    peer: float | None = None
    unit: str = ""
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    kruk_interval: tuple[float, float] | None = None
    peer_interval: tuple[float, float] | None = None


def percentile(values: Sequence[float], part: float) -> float | None:
    """The value below which `part` (0 to 1) of the values lie, interpolated; None of none."""
    if not values:
        return None
    ordered = sorted(values)
    place = part * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def mean(values: Sequence[float]) -> float | None:
    """The mean; None of none."""
    return statistics.fmean(values) if values else None


def divide(kruk: float | None, peer: float | None) -> float | None:
    """Kruk ÷ peer; None when either is missing or the peer's is 0."""
    return None if kruk is None or not peer else kruk / peer


def bootstrap(values: Sequence[float], seed: str) -> tuple[float, float] | None:
    """The 95 % interval of the mean, from resamples that the seed decides; None of no values."""
    if not values:
        return None
    rng = random.Random(seed)
    means = sorted(statistics.fmean(rng.choices(values, k=len(values))) for _ in range(N_RESAMPLES))
    return means[round(0.025 * N_RESAMPLES)], means[round(0.975 * N_RESAMPLES) - 1]


def edit_similarity(left: str, right: str) -> float:
    """How alike two texts are, from 0 to 1: twice what matches, divided by the length of both."""
    return difflib.SequenceMatcher(None, left, right, autojunk=False).ratio()


def machine() -> dict[str, Any]:
    """What the figures depend on besides the program: kept with them."""
    return {
        "kruk": __version__,
        "llama-cpp-python": importlib.metadata.version("llama-cpp-python"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
    }


def show(rows: Sequence[Row], title: str, console: Console | None = None) -> None:
    """Print the summary; the peer's columns only when it was measured."""
    has_peer = any(row.peer is not None for row in rows)
    table = Table(title=title, title_justify="left")
    table.add_column("figure")
    for name in ["Kruk", "peer", "Kruk ÷ peer"] if has_peer else ["Kruk"]:
        table.add_column(name, justify="right")
    for row in rows:
        cells = [_figure(row.kruk, row.unit, row.kruk_interval)]
        if has_peer:
            cells += [_figure(row.peer, row.unit, row.peer_interval), _ratio(row)]
        table.add_row(row.title, *cells)
    (console or Console()).print(table)


def save(path: Path, **parts: Any) -> None:
    """Write everything that was measured as JSON."""
    path.write_text(json.dumps(parts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _figure(value: float | None, unit: str, interval: tuple[float, float] | None) -> str:
    if value is None:
        return UNKNOWN
    if interval:
        return f"{_number(value, unit)} ({_number(interval[0], unit)}–{_number(interval[1], unit)}) {unit}".rstrip()
    return f"{_number(value, unit)} {unit}".rstrip()


def _number(value: float, unit: str) -> str:
    if unit == "%":
        return f"{100 * value:.1f}"
    return f"{value:.2f}" if 0 < abs(value) < 10 and value != int(value) else f"{value:.0f}"


def _ratio(row: Row) -> str:
    if row.ratio is None:
        return UNKNOWN
    return f"{row.ratio:.3f}" + (f" ({row.spread[0]:.3f}–{row.spread[1]:.3f})" if row.spread else "")

"""Figures from many measurements, what they lie in, and how they are written. Knows nothing of what was measured."""

from __future__ import annotations

import datetime
import difflib
import importlib.metadata
import os
import platform
import random
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from lsp_server import __version__

N_RESAMPLES = 1000
UNKNOWN = "–"
_Z = 1.959964  # standard deviations to either side that hold 95 % of a normal distribution


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


def bootstrap(
    values: Sequence[float], seed: str, statistic: Callable[[Sequence[float]], float] = statistics.fmean
) -> tuple[float, float] | None:
    """The 95 % interval of a statistic, from resamples that the seed decides; None of fewer than two values."""
    if len(values) < 2:
        return None
    rng = random.Random(seed)
    found = sorted(statistic(rng.choices(values, k=len(values))) for _ in range(N_RESAMPLES))
    return found[round(0.025 * N_RESAMPLES)], found[round(0.975 * N_RESAMPLES) - 1]


def wilson(n_true: int, n: int) -> tuple[float, float] | None:
    """Wilson's 95 % interval of a share, right also for few cases and for shares near 0 and 1; None of no cases."""
    if not n:
        return None
    share, z2 = n_true / n, _Z * _Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * (share * (1 - share) / n + z2 / (4 * n * n)) ** 0.5 / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def edit_similarity(left: str, right: str) -> float:
    """How alike two texts are, from 0 to 1: twice what matches, divided by the length of both."""
    return difflib.SequenceMatcher(None, left, right, autojunk=False).ratio()


def figure(value: float | None, unit: str, interval: tuple[float, float] | None = None) -> str:
    """A figure for people, with its unit, and with what it lies in."""
    if value is None:
        return UNKNOWN
    if interval:
        return f"{_number(value, unit)} ({_number(interval[0], unit)}–{_number(interval[1], unit)}) {unit}".rstrip()
    return f"{_number(value, unit)} {unit}".rstrip()


def machine() -> dict[str, Any]:
    """What the figures depend on besides the program, and the day: kept with them."""
    return {
        "date": datetime.date.today().isoformat(),
        "kruk": __version__,
        "llama-cpp-python": importlib.metadata.version("llama-cpp-python"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / (1 << 30)),
    }


def machine_lines(machine: dict[str, Any]) -> list[str]:
    """When and on what it was measured, and with which versions: one line each."""
    place = f"{machine['processors']} × {machine['processor']}, {machine['memory_gib']} GiB"
    names = {"kruk": "Kruk", "llama-cpp-python": "llama-cpp-python", "xllamacpp": "xllamacpp", "python": "Python"}
    versions = ", ".join(f"{name} {machine[key]}" for key, name in names.items() if machine.get(key))
    return [f"{machine['date']} · {place} · {machine['system']}", versions]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or platform.machine())


def _number(value: float, unit: str) -> str:
    if unit == "%":
        return f"{100 * value:.1f}"
    return f"{value:.2f}" if 0 < abs(value) < 10 and value != int(value) else f"{value:,.0f}"

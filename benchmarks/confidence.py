"""What a threshold of confidence keeps and hides, from what `kruk eval` wrote.

usage: kruk eval DIR --settings '{"completion": {"minConfidence": 0}}' --json FILE.json
       python benchmarks/confidence.py FILE.json [FILE.json ...] [--configuration NAME] [--plot FILE.svg]

Of the suggestions whose first line is right, how many have a probability above each threshold; of the wrong ones, how
many below it. A threshold is chosen on one file and reported on the others. Area: how often a right one is more
probable than a wrong one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lsp_server.evaluation import plots
from lsp_server.evaluation.figures import machine, machine_lines, wilson

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True)
class Told:
    """Probabilities, from 0 to 1, of the suggestions in one file whose first line was right, and of the others."""

    name: str
    right: tuple[float, ...]
    wrong: tuple[float, ...]

    @property
    def area(self) -> float | None:
        """How often a right one is more probable than a wrong one; None without both."""
        if not self.right or not self.wrong:
            return None
        won = sum((right > wrong) + (right == wrong) / 2 for right in self.right for wrong in self.wrong)
        return won / (len(self.right) * len(self.wrong))


def main() -> int:
    """Print the table and draw the picture; the exit code is 1 when a file cannot be read."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("results", metavar="FILE.json", type=Path, nargs="+", help="what `kruk eval --json` wrote")
    parser.add_argument("--configuration", metavar="NAME", help="one of those measured (default: the first)")
    parser.add_argument("--plot", metavar="FILE.svg", type=Path)
    arguments = parser.parse_args()
    try:
        told = [read(path, arguments.configuration) for path in arguments.results]
    except (OSError, ValueError, KeyError) as error:
        print(f"that cannot be read as the result of `kruk eval`: {error!r}", file=sys.stderr)
        return 1
    Console().print(table(told))
    if arguments.plot:
        arguments.plot.parent.mkdir(parents=True, exist_ok=True)
        arguments.plot.write_text(picture(told), encoding="utf-8")
    return 0


def read(path: Path, configuration: str | None) -> Told:
    """Take the cases of one configuration that had a suggestion. Raises OSError, ValueError, KeyError."""
    result = json.loads(path.read_text(encoding="utf-8"))
    wanted = configuration or result["configurations"][0]["name"]
    cases = [it for it in result["cases"] if it["configuration"] == wanted and it["confidence"] is not None]
    if not cases:
        raise ValueError(f"`{path}` has no suggestion of `{wanted}`")
    right, wrong = ([it["confidence"] for it in cases if it["exact"] is is_right] for is_right in (True, False))
    return Told(path.stem, tuple(right), tuple(wrong))


def table(told: Sequence[Told]) -> Table:
    """A line for each threshold."""
    shown = Table(title="Kept right / hidden wrong, in percent", title_justify="left")
    shown.add_column("threshold", justify="right")
    for one in told:
        area = "" if one.area is None else f"\narea {one.area:.3f}"
        shown.add_column(f"{one.name}\n{len(one.right)} right, {len(one.wrong)} wrong{area}", justify="right")
    for threshold in THRESHOLDS:
        shown.add_row(
            f"{threshold:.0%}",
            *(f"{_percent(kept(one, threshold))} / {_percent(hidden(one, threshold))}" for one in told),
        )
    return shown


def kept(told: Told, threshold: float) -> tuple[int, int]:
    """How many right ones stay, of how many."""
    return sum(it >= threshold for it in told.right), len(told.right)


def hidden(told: Told, threshold: float) -> tuple[int, int]:
    """How many wrong ones go, of how many."""
    return sum(it < threshold for it in told.wrong), len(told.wrong)


def picture(told: Sequence[Told]) -> str:
    """Both shares by threshold, as an SVG."""
    series = {f"s{n}": one.name for n, one in enumerate(told)}

    def panel(title: str, note: str, counted: list[list[tuple[int, int]]]) -> plots.Panel:
        rows = [
            plots.Row(
                f"{threshold:.0%}", [_bar(key, *counts[n]) for key, counts in zip(series, counted, strict=True)]
            )
            for n, threshold in enumerate(THRESHOLDS)
        ]
        return plots.Panel(title, note, "%", rows)

    note = "by the least probability of a first line that is shown"
    panels = [
        panel("Right, and kept", note, [[kept(it, threshold) for threshold in THRESHOLDS] for it in told]),
        panel("Wrong, and hidden", note, [[hidden(it, threshold) for threshold in THRESHOLDS] for it in told]),
    ]
    n = sum(len(one.right) + len(one.wrong) for one in told)
    subtitle = f"{n} suggestions; the lines on the bars are 95 % intervals"
    return plots.draw("What a threshold of confidence does", subtitle, series, panels, machine_lines(machine()))


def _bar(series: str, n: int, of: int) -> plots.Bar:
    interval = wilson(n, of)
    return plots.Bar(series, n / of if of else 0.0, interval)


def _percent(counted: tuple[int, int]) -> str:
    n, of = counted
    return f"{100 * n / of:.0f}" if of else "–"


if __name__ == "__main__":
    sys.exit(main())

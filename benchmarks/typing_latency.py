"""How long somebody who types waits for a suggestion: Kruk, side by side with llama.cpp's own server.

usage: python benchmarks/typing_latency.py --tree DIR [--cases N] [--runs R] [--model PATH|ID] [--peer-python PY]
                                           [--seed S] [--automatic] [--pause MS] [--json FILE] [--plot FILE.svg]
                                           [--workspace DIR [--settle]]

Each case is a hole of one to three lines in a source file below DIR. The first request at the hole is cold: the
server has not seen the file. Then the missing text is typed in bursts of 1 to 6 characters, and after each burst a
suggestion is asked for (warm), unless the burst continues the one that is shown: that is typed through, on both
sides, and nothing is asked. `--pause` rests before each burst, as a hand does. The sides take turns case by case, so
that a noisy machine hits both; each run starts both servers anew. Ctrl-C prints what there is.

Kruk is the real `kruk serve` over stdio, asked without debounce (with `--automatic`: as editors ask it while
somebody types, debounce and refusals included). The peer is asked as llama.vim does it; see peer.py.

With `--workspace`, the holes are files in a copy of that folder, which Kruk begins to index as it starts: with
`--settle` it is let finish first, else the index is made while somebody types.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import command
import figures
from answers import Answer
from figures import Panel, Row
from holes import Hole, bursts, find_holes

from lsp_server.evaluation.editor import rss_mib, wait_until_idle

SIZES = (1, 1, 2, 3)  # lines in a hole, each as likely
MIN_CHARS = 20
SETTLE_PATIENCE_S = 1800
PANELS = (
    Panel("Waiting time", "less is better", ("cold, p50", "cold, p95", "warm, p50", "warm, p95")),
    Panel("Suggestions", "more is better", ("line exact", "typed through")),
    Panel("Prompt tokens evaluated", "less is better", ("prompt tokens, cold, mean", "prompt tokens, warm, mean")),
    Panel("Memory", "less is better", ("resident memory",)),
)


@dataclass
class Typed:
    """One hole, typed on one side.

    `n_scored` counts the places where text was left to type on the line, `n_exact` those where the suggestion's
    first line was that text. `rss_mib`: the server's resident memory at the end of the hole.
    """

    cold: Answer
    warm: list[Answer] = field(default_factory=list)
    n_bursts: int = 0
    n_through: int = 0
    n_scored: int = 0
    n_exact: int = 0
    rss_mib: float | None = None


@dataclass(frozen=True)
class Case:
    """One hole in one run, on every side."""

    run: int
    hole: str
    typed: dict[str, Typed]


Measure: TypeAlias = Callable[[Sequence[Typed]], "float | None"]


def main() -> int:
    """Measure, print the summary, write the file; the exit code is 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    command.add_tree_arguments(parser)
    parser.add_argument("--automatic", action="store_true", help="ask Kruk as while typing: debounce and refusals")
    parser.add_argument("--workspace", metavar="DIR", type=Path, help="a project that the holes are opened in")
    parser.add_argument("--settle", action="store_true", help="type only when the project is indexed")
    command.add_arguments(parser)
    arguments = command.parse(parser)
    cases: list[Case] = []
    code = command.run(lambda: _measure(arguments, cases))
    if cases:
        n_bursts = sum(case.typed[command.KRUK].n_bursts for case in cases)
        command.report(
            arguments,
            "Typing latency",
            f"{figures.counts(cases)}, {n_bursts} bursts, {arguments.model.name}",
            summary(cases),
            PANELS,
            benchmark="typing_latency",
            model=arguments.model.name,
            seed=arguments.seed,
            automatic=arguments.automatic,
            pause_ms=arguments.pause,
            cases=[asdict(case) for case in cases],
        )
    return code


def type_hole(side: Any, hole: Hole, seed: str, pause_ms: float = 0) -> Typed:
    """Open the hole on one side and type its text there, asking as an editor would.

    The bursts depend on the seed and the hole alone: they are the same on every side and in every run.
    """
    rng = random.Random(f"{seed}:{hole.name}")
    side.open(hole)
    typed = Typed(cold=side.ask())
    shown, rest = typed.cold.text, hole.middle
    _score(typed, shown, rest + hole.suffix)
    for burst in bursts(hole.middle, rng):
        time.sleep(pause_ms / 1e3)
        side.type(burst)
        rest = rest[len(burst) :]
        typed.n_bursts += 1
        if shown.startswith(burst) and len(shown) > len(burst):
            shown = shown[len(burst) :]
            typed.n_through += 1
        else:
            typed.warm.append(side.ask())
            shown = typed.warm[-1].text
        _score(typed, shown, rest + hole.suffix)
    typed.rss_mib = rss_mib(side.process)
    side.leave()
    return typed


def summary(cases: Sequence[Case]) -> list[Row]:
    """The lines of the summary. A ratio is of the same run; of several runs, the median with what it lies between."""
    measures: list[tuple[str, Measure, str]] = [
        ("cold, p50", lambda them: figures.percentile(_cold_ms(them), 0.5), "ms"),
        ("cold, p95", lambda them: figures.percentile(_cold_ms(them), 0.95), "ms"),
        ("warm, p50", lambda them: figures.percentile(_warm_ms(them), 0.5), "ms"),
        ("warm, p95", lambda them: figures.percentile(_warm_ms(them), 0.95), "ms"),
        ("line exact", lambda them: _share(them, "n_exact", "n_scored"), "%"),
        ("typed through", lambda them: _share(them, "n_through", "n_bursts"), "%"),
        ("requests per hole, mean", lambda them: figures.mean([1 + len(typed.warm) for typed in them]), ""),
        ("prompt tokens, cold, mean", lambda them: figures.mean(_evaluated(them, "cold")), ""),
        ("prompt tokens, warm, p50", lambda them: figures.percentile(_evaluated(them, "warm"), 0.5), ""),
        ("prompt tokens, warm, mean", lambda them: figures.mean(_evaluated(them, "warm")), ""),
        ("prompt tokens, warm, p95", lambda them: figures.percentile(_evaluated(them, "warm"), 0.95), ""),
        ("server outside the model, p50", lambda them: figures.percentile(_outside_ms(them), 0.5), "ms"),
        ("server outside the model, p95", lambda them: figures.percentile(_outside_ms(them), 0.95), "ms"),
        (
            "resident memory",
            lambda them: max((typed.rss_mib for typed in them if typed.rss_mib), default=None),
            "MiB",
        ),
    ]
    return [_row(title, measure, unit, cases) for title, measure, unit in measures]


def _measure(arguments: argparse.Namespace, cases: list[Case]) -> None:
    holes = find_holes(arguments.tree, arguments.cases, arguments.seed, SIZES, MIN_CHARS)
    for run in range(1, arguments.runs + 1):
        kind = 2 if arguments.automatic else 1
        with _workspace(arguments) as sources, command.sides(arguments, {}, kind, sources=sources) as sides:
            if arguments.settle:
                command.tell("waiting for the index")
                wait_until_idle(sides[0].process, SETTLE_PATIENCE_S)
            for n, hole in enumerate(holes, 1):
                typed = {
                    side.name: type_hole(side, hole, arguments.seed, arguments.pause)
                    for side in command.in_turn(sides, n + run)
                }
                cases.append(Case(run, hole.name, typed))
                told = "; ".join(f"{side.name} {_told(typed[side.name])}" for side in sides)
                command.tell(f"run {run}/{arguments.runs}, case {n}/{len(holes)}, {hole.name}: {told}")


@contextlib.contextmanager
def _workspace(arguments: argparse.Namespace) -> Iterator[Path | None]:
    """A copy of the project to type in, or None."""
    if arguments.workspace is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="kruk-workspace-") as own:
        yield shutil.copytree(arguments.workspace, Path(own).resolve() / "project", symlinks=True)


def _told(typed: Typed) -> str:
    warm_ms = figures.percentile(_warm_ms([typed]), 0.5)
    return f"cold {typed.cold.ms:.0f} ms, warm " + ("none" if warm_ms is None else f"{warm_ms:.0f} ms")


def _score(typed: Typed, shown: str, wanted: str) -> None:
    line = wanted.split("\n", 1)[0].rstrip()
    if line:
        typed.n_scored += 1
        typed.n_exact += shown.split("\n", 1)[0].rstrip() == line


def _row(title: str, measure: Measure, unit: str, cases: Sequence[Case]) -> Row:
    def of(side: str, run: int | None = None) -> float | None:
        them = [case.typed[side] for case in cases if side in case.typed and run in (None, case.run)]
        return measure(them) if them else None

    runs = sorted({case.run for case in cases})
    kruk, peer = ([of(side, run) for run in runs] for side in (command.KRUK, command.PEER))
    return figures.row_of_runs(title, unit, kruk, peer, of(command.KRUK), of(command.PEER))


def _cold_ms(them: Sequence[Typed]) -> list[float]:
    return [typed.cold.ms for typed in them]


def _warm_ms(them: Sequence[Typed]) -> list[float]:
    return [answer.ms for typed in them for answer in typed.warm]


def _evaluated(them: Sequence[Typed], which: str) -> list[float]:
    answers = [answer for typed in them for answer in ([typed.cold] if which == "cold" else typed.warm)]
    return [answer.n_evaluated for answer in answers if answer.n_evaluated is not None]


def _outside_ms(them: Sequence[Typed]) -> list[float]:
    answers = [answer for typed in them for answer in (typed.cold, *typed.warm)]
    return [answer.outside_ms for answer in answers if answer.outside_ms is not None]


def _share(them: Sequence[Typed], part: str, whole: str) -> float | None:
    n_all = sum(getattr(typed, whole) for typed in them)
    return sum(getattr(typed, part) for typed in them) / n_all if n_all else None


if __name__ == "__main__":
    sys.exit(main())

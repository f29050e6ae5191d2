"""How good suggestions are: one for each hole in a source file, compared with what stood there.

usage: python benchmarks/fill_in.py (--data FILE.jsonl[.gz] [--execute] | --tree DIR) -n N [--model PATH|ID]
                                    [--peer-python PY] [--options JSON] [--seed S] [--json FILE]

--data FILE: a file of HumanEval-Infilling (github.com/openai/human-eval-infilling). Counted is how often the first
line is exactly the missing one, and with --execute how often the function then passes its tests.
WARNING: --execute RUNS WHAT THE MODEL WROTE, in a child process with limits but in no sandbox; see execute.py.

--tree DIR: holes of one line in source files below DIR. Counted is how often the line is exact, how alike the two
are (difflib), and whether the file then parses with no more errors than it had.

The indentation of the hole's first line, and the line end behind the hole, are there already, as in an editor. In a
hole of one line only the suggestion's first line counts. An empty suggestion counts as wrong, and its reason is
listed. What is in brackets is the bootstrap's 95 % interval. Ctrl-C prints what there is.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import command
import execute
import figures
from answers import Answer
from figures import Row
from holes import Hole, find_holes, first_line
from peer import PREDICT_MS
from tasks import Task, read_tasks

from lsp_server.evaluation.score import fitted, score

MIN_CHARS = 10


@dataclass(frozen=True)
class Judged:
    """One suggestion and what is thought of it; None: not asked."""

    answer: Answer
    exact: bool
    similarity: float | None = None
    parses: bool | None = None
    passes: bool | None = None


@dataclass(frozen=True)
class Case:
    """One hole, on every side."""

    hole: str
    wanted: str
    judged: dict[str, Judged]


Judge = Callable[[Answer], Judged]


def main() -> int:
    """Measure, print the summary, write the file; the exit code is 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", metavar="FILE", type=Path, help="a .jsonl or .jsonl.gz of HumanEval-Infilling")
    source.add_argument("--tree", metavar="DIR", type=Path, help="source files to cut holes into")
    parser.add_argument("-n", metavar="N", type=int, default=100, help="holes (default: %(default)s)")
    parser.add_argument("--execute", action="store_true", help="run what the model wrote (with --data only)")
    parser.add_argument("--options", metavar="JSON", type=json.loads, default={}, help="settings for Kruk")
    command.add_arguments(parser)
    arguments = command.parse(parser)
    if arguments.execute and not (arguments.data and execute.can_execute()):
        parser.error("--execute needs --data, and a system that can limit what it runs (not Windows)")
    if not isinstance(arguments.options, dict):
        parser.error("--options wants a JSON object")
    cases: list[Case] = []
    code = command.run(lambda: _measure(arguments, cases))
    if cases:
        _report(arguments, cases)
    return code


def judge_task(task: Task, answer: Answer, is_executed: bool) -> Judged:
    """Judge a suggestion for a task by its first line, and by the tests."""
    text = fitted(answer.text, task.hole.middle)
    passes = execute.passes(task.program(text)) if is_executed else None
    return Judged(answer, first_line(text) == first_line(task.hole.middle), passes=passes)


def judge_line(hole: Hole, answer: Answer) -> Judged:
    """Judge a suggestion for one line of a file."""
    found = score(hole, answer.text)
    return Judged(answer, found.exact, found.similarity, found.parses)


def summary(cases: Sequence[Case], seed: str) -> list[Row]:
    """The lines of the summary; what was not asked is left out."""
    rows = [
        _share_row("line exact", "exact", cases, seed),
        _share_row("edit similarity", "similarity", cases, seed),
        _share_row("parses", "parses", cases, seed),
        _share_row("passes its tests", "passes", cases, seed),
    ]
    rows = [row for row in rows if row.kruk is not None]
    n_empty = {side: float(sum(not it.answer.text for it in _all(cases, side))) for side in _sides(cases)}
    rows.append(Row("empty answers", n_empty.get("Kruk"), n_empty.get("peer")))
    for title, part in (("request, p50", 0.5), ("request, p95", 0.95)):
        kruk, peer = (
            figures.percentile([it.answer.ms for it in _all(cases, side)], part) for side in ("Kruk", "peer")
        )
        rows.append(Row(title, kruk, peer, "ms", figures.divide(kruk, peer)))
    return rows


def reasons(cases: Sequence[Case], side: str) -> Counter[str]:
    """Why there was nothing, and how often."""
    return Counter(it.answer.reason or "no reason given" for it in _all(cases, side) if not it.answer.text)


def _measure(arguments: argparse.Namespace, cases: list[Case]) -> None:
    pairs: list[tuple[Hole, Judge]] = []
    if arguments.data:
        for task in read_tasks(arguments.data, arguments.n, arguments.seed):
            pairs.append((task.hole, lambda answer, task=task: judge_task(task, answer, arguments.execute)))
    else:
        for hole in find_holes(arguments.tree, arguments.n, arguments.seed, (1,), MIN_CHARS):
            pairs.append((hole, lambda answer, hole=hole: judge_line(hole, answer)))
    # llama.vim's time limit counts from the second line on. Where more lines are wanted there is none: how good the
    # peer is should not depend on how fast this machine is.
    predict_ms = None if any("\n" in hole.middle for hole, _ in pairs) else PREDICT_MS
    with command.sides(arguments, arguments.options, predict_ms=predict_ms) as sides:
        for n, (hole, judge) in enumerate(pairs, 1):
            judged: dict[str, Judged] = {}
            for side in command.in_turn(sides, n):
                side.open(hole)
                judged[side.name] = judge(side.ask())
                side.leave()
            cases.append(Case(hole.name, hole.middle, judged))
            told = "; ".join(f"{side.name} {_told(judged[side.name])}" for side in sides)
            command.tell(f"case {n}/{len(pairs)}, {hole.name}: {told}")


def _report(arguments: argparse.Namespace, cases: list[Case]) -> None:
    rows = summary(cases, arguments.seed)
    figures.show(rows, f"Fill in the middle: {len(cases)} holes, {arguments.model.name}")
    for side in _sides(cases):
        for reason, n in reasons(cases, side).most_common():
            print(f"{side}, empty {n} ×: {reason}")
    if arguments.json:
        figures.save(
            arguments.json,
            benchmark="fill_in",
            model=arguments.model.name,
            seed=arguments.seed,
            options=arguments.options,
            machine=figures.machine(),
            summary=[asdict(row) for row in rows],
            reasons={side: reasons(cases, side) for side in _sides(cases)},
            cases=[asdict(case) for case in cases],
        )


def _told(judged: Judged) -> str:
    verdict = "empty" if not judged.answer.text else "exact" if judged.exact else "other"
    return verdict + ("" if judged.passes is None else ", passes" if judged.passes else ", fails")


def _share_row(title: str, name: str, cases: Sequence[Case], seed: str) -> Row:
    values = {
        side: [float(value) for it in _all(cases, side) if (value := getattr(it, name)) is not None]
        for side in ("Kruk", "peer")
    }
    kruk, peer = figures.mean(values["Kruk"]), figures.mean(values["peer"])
    return Row(
        title,
        kruk,
        peer,
        "%",
        ratio=figures.divide(kruk, peer),
        kruk_interval=figures.bootstrap(values["Kruk"], seed),
        peer_interval=figures.bootstrap(values["peer"], seed),
    )


def _sides(cases: Sequence[Case]) -> list[str]:
    return sorted({side for case in cases for side in case.judged})


def _all(cases: Sequence[Case], side: str) -> list[Judged]:
    return [case.judged[side] for case in cases if side in case.judged]


if __name__ == "__main__":
    sys.exit(main())

"""What happens to somebody in a day besides typing: restarts, accepting, changing one's mind, a machine at work.

usage: python benchmarks/everyday.py --tree DIR [--cases N] [--runs R] [--model PATH|ID] [--peer-python PY]
                                     [--only PART,PART] [--seed S] [--pause MS] [--json FILE] [--plot FILE.svg]

Kruk is the real `kruk serve` over stdio, each time with a new home; the peer is llama.cpp's server (peer.py).
The holes are those of typing_latency.py. The parts:

restart  a file is opened, a suggestion asked for, and the server ended once it is idle; a new one gets the same
         request in the same file. What the second suggestion takes ÷ the first.
accept   a suggestion is looked at for a second and accepted, and the next one asked for at once: how often no model
         work was waited for.
cancel   a long evaluation is cancelled at a random moment, and a suggestion in another small document asked for:
         from then until the engine begins with it, as the servers' own times tell.
tokens   the prompt tokens that a request evaluates while typing.
chat     typing while a chat streams ÷ typing alone (Kruk only)
busy     typing beside a busy process on every core but one ÷ typing alone.
two      two servers of a kind, typed in at once ÷ typing alone.
memory   resident memory after typing alone, both with a context of 4,096 tokens.

Ctrl-C prints what there is. Of several runs the medians are shown, and what they lie between.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import command
import figures
from command import KRUK, PEER, Side, in_turn, tell
from editor import Editor
from figures import Panel, Row
from holes import Hole, find_holes
from processes import busy_cores, n_busy
from typing_latency import MIN_CHARS, SIZES, Typed, type_hole

from lsp_server.evaluation.editor import wait_until_idle

PARTS = ("restart", "accept", "cancel", "tokens", "chat", "busy", "two", "memory")
OPTIONS = {"contextSize": 4096}
LOOK_S = 1.0
CANCELS = 5  # for each case: places in which nothing was asked before
CANCEL_AFTER_S = (0.05, 0.6)
PANELS = (
    Panel("Beside others", "typing alone = 1, less is better", ("busy ÷ alone", "two at once ÷ alone")),
    Panel("After a restart", "a new file = 1, less is better", ("restart ÷ cold",)),
    Panel("After accepting", "more is better", ("accepted, not waited",)),
    Panel("After a cancel", "less is better", ("engine free after a cancel, p50", "engine free after a cancel, p95")),
    Panel("Prompt tokens per request", "less is better", ("prompt tokens, p50",)),
    Panel("Memory", "less is better", ("resident memory",)),
)


@dataclass(frozen=True)
class Sample:
    """What one hole gave in one part and run, on one side: values by name."""

    run: int
    part: str
    side: str
    hole: str
    values: dict[str, list[float]]


Measure: TypeAlias = Callable[[int, str], "float | None"]  # of a run and a side


def main() -> int:
    """Measure, print the summary, write the file; the exit code is 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    command.add_tree_arguments(parser)
    parser.add_argument("--only", metavar="PART,PART", default=",".join(PARTS), help="of: %(default)s")
    command.add_arguments(parser)
    arguments = command.parse(parser)
    arguments.only = arguments.only.split(",")
    if unknown := set(arguments.only) - set(PARTS):
        parser.error(f"--only: there is no part `{min(unknown)}`; there are {', '.join(PARTS)}")
    samples: list[Sample] = []
    code = command.run(lambda: _measure(arguments, samples))
    if samples:
        command.report(
            arguments,
            "An ordinary day",
            f"{figures.counts([it for it in samples if it.part != 'cancel'] or samples)}, {arguments.model.name}",
            summary(samples),
            PANELS,
            benchmark="everyday",
            model=arguments.model.name,
            seed=arguments.seed,
            pause_ms=arguments.pause,
            samples=[asdict(sample) for sample in samples],
        )
    return code


def summary(samples: Sequence[Sample]) -> list[Row]:
    """The lines of the summary; a part that was not measured has none."""

    def pool(part: str, name: str, run: int, side: str) -> list[float]:
        them = [it for it in samples if (it.part, it.run, it.side) == (part, run, side)]
        return [value for it in them for value in it.values.get(name, [])]

    def part_of(part: str, name: str, share: float) -> Measure:
        return lambda run, side: figures.percentile(pool(part, name, run, side), share)

    def to_alone(part: str) -> Measure:
        warm, alone = part_of(part, "warm_ms", 0.5), part_of("alone", "warm_ms", 0.5)
        return lambda run, side: figures.divide(warm(run, side), alone(run, side))

    measures: list[tuple[str, Measure, str]] = [
        ("first suggestion, cold, p50", part_of("restart", "cold_ms", 0.5), "ms"),
        ("first after a restart, p50", part_of("restart", "restarted_ms", 0.5), "ms"),
        ("restart ÷ cold", part_of("restart", "ratio", 0.5), "×"),
        ("accepted, not waited", lambda run, side: figures.mean(pool("accept", "not_waited", run, side)), "%"),
        ("next after accepting, p50", part_of("accept", "next_ms", 0.5), "ms"),
        ("next after accepting, p95", part_of("accept", "next_ms", 0.95), "ms"),
        ("engine free after a cancel, p50", part_of("cancel", "free_ms", 0.5), "ms"),
        ("engine free after a cancel, p95", part_of("cancel", "free_ms", 0.95), "ms"),
        ("prompt tokens, p50", part_of("alone", "tokens", 0.5), ""),
        ("warm alone, p50", part_of("alone", "warm_ms", 0.5), "ms"),
        ("warm while a chat streams, p50", part_of("chat", "warm_ms", 0.5), "ms"),
        ("warm beside busy cores, p50", part_of("busy", "warm_ms", 0.5), "ms"),
        ("warm, two at once, p50", part_of("two", "warm_ms", 0.5), "ms"),
        ("chat ÷ alone", to_alone("chat"), "×"),
        ("busy ÷ alone", to_alone("busy"), "×"),
        ("two at once ÷ alone", to_alone("two"), "×"),
        ("resident memory", part_of("alone", "rss_mib", 1), "MiB"),
    ]
    runs = sorted({sample.run for sample in samples})
    rows = [
        figures.row_of_runs(title, unit, [measure(run, KRUK) for run in runs], [measure(run, PEER) for run in runs])
        for title, measure, unit in measures
    ]
    return [row for row in rows if row.kruk is not None]


def _measure(arguments: argparse.Namespace, samples: list[Sample]) -> None:
    n_wanted = arguments.cases * (CANCELS if "cancel" in arguments.only else 1)
    places = find_holes(arguments.tree, n_wanted, arguments.seed, SIZES, MIN_CHARS)
    holes = places[: arguments.cases]
    needs_alone = {"tokens", "chat", "busy", "two", "memory"} & set(arguments.only)
    for run in range(1, arguments.runs + 1):

        def keep(part: str, side: str, hole: Hole, run: int = run, **values: list[float]) -> None:
            samples.append(Sample(run, part, side, hole.name, values))
            told = ", ".join(f"{name} {figures.percentile(them, 0.5):.2f}" for name, them in values.items() if them)
            tell(f"run {run}/{arguments.runs}, {part}, {side}, {hole.name}: {told}")

        if "restart" in arguments.only:
            _restart(arguments, holes, keep)
        if "accept" in arguments.only:
            _accept(arguments, holes, keep)
        if "cancel" in arguments.only:
            _cancel(arguments, places, keep)
        for part in ("alone", "chat", "busy", "two"):
            if needs_alone if part == "alone" else part in arguments.only:
                for name in in_turn([KRUK] if part == "chat" else command.names(arguments), run):
                    _type(arguments, part, name, holes, keep)


def _restart(arguments: argparse.Namespace, holes: Sequence[Hole], keep: Callable[..., None]) -> None:
    """Kruk only: the peer keeps nothing. Neither server has answered anything before, as in an editor."""
    for hole in holes:
        with _new_folder() as folder:
            took_ms = []
            for _ in range(2):
                with Editor(arguments.model, OPTIONS, sources=folder / "sources", home=folder / "home") as side:
                    side.open(hole)
                    took_ms.append(side.ask().ms)
                    if len(took_ms) == 1:
                        wait_until_idle(side.process)
        cold_ms, restarted_ms = took_ms
        keep("restart", KRUK, hole, cold_ms=[cold_ms], restarted_ms=[restarted_ms], ratio=[restarted_ms / cold_ms])


def _accept(arguments: argparse.Namespace, holes: Sequence[Hole], keep: Callable[..., None]) -> None:
    """Kruk only: the peer always works."""
    with command.started(arguments, KRUK, OPTIONS) as side:
        for hole in holes:
            side.open(hole)
            if text := side.ask().text:
                time.sleep(LOOK_S)
                side.type(text)
                answer = side.ask()
                keep("accept", KRUK, hole, not_waited=[float(not answer.waited)], next_ms=[answer.ms])
            side.leave()


def _cancel(arguments: argparse.Namespace, places: Sequence[Hole], keep: Callable[..., None]) -> None:
    rng = random.Random(arguments.seed)
    with command.sides(arguments, OPTIONS) as sides:
        for n, hole in enumerate(places):
            after_s = rng.uniform(*CANCEL_AFTER_S)
            for side in in_turn(sides, n):
                free_ms = cancel_once(side, hole, n, after_s)
                if free_ms is not None:
                    keep("cancel", side.name, hole, free_ms=[free_ms], after_ms=[after_s * 1e3])


def cancel_once(side: Side, hole: Hole, n: int, after_s: float) -> float | None:
    """Milliseconds from a cancel until the engine begins with another request; None when all was done before it."""
    # Small, and new each time, so that it is in no cache.
    small = Hole("small", "small.py", "python", f"total_{n} = {n}\nprint(", f"total_{n})", "\n")
    side.open(hole)
    side.start_asking()
    time.sleep(after_s)
    if not side.cancel():
        return None
    side.open(small)
    answer = side.ask()
    side.leave()
    return answer.until_engine_ms


def _type(
    arguments: argparse.Namespace, part: str, name: str, holes: Sequence[Hole], keep: Callable[..., None]
) -> None:
    """Type all holes in a new server, or in two at once."""
    n_sides = 2 if part == "two" else 1
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(_new_folder())  # two servers of one user have it in common
        sides = [stack.enter_context(command.started(arguments, name, OPTIONS, home=home)) for _ in range(n_sides)]
        if part == "busy":
            stack.enter_context(busy_cores(n_busy()))
        if part == "chat":
            stack.enter_context(sides[0].chatting())
        for typed in type_at_once(sides, holes, lambda side, hole: _typed(arguments, side, hole)):
            for hole, it in typed:
                warm_ms, tokens = [answer.ms for answer in it.warm], [answer.n_evaluated or 0 for answer in it.warm]
                keep(part, name, hole, warm_ms=warm_ms, tokens=tokens, rss_mib=[it.rss_mib])


@contextlib.contextmanager
def _new_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kruk-benchmark-") as folder:
        yield Path(folder).resolve()


def _typed(arguments: argparse.Namespace, side: Side, hole: Hole) -> Typed:
    return type_hole(side, hole, arguments.seed, arguments.pause)


def type_at_once(
    sides: Sequence[Any], holes: Sequence[Hole], type_it: Callable[[Any, Hole], Typed]
) -> list[list[tuple[Hole, Typed]]]:
    """Type all holes on every side at once, each beginning elsewhere; returns what was typed on each.

    A side that is done goes on typing, uncounted, until the others are, so that nobody is alone at the end.
    """
    n_left, lock, is_over = len(sides), threading.Lock(), threading.Event()

    def work(side: Any, n: int) -> list[tuple[Hole, Typed]]:
        nonlocal n_left
        first = n * len(holes) // len(sides)
        order = [*holes[first:], *holes[:first]]
        typed = []
        for hole in order:
            if not is_over.is_set():
                typed.append((hole, type_it(side, hole)))
        with lock:
            n_left -= 1
        while n_left and not is_over.is_set():
            type_it(side, order[0])
        return typed

    with ThreadPoolExecutor(len(sides)) as pool:
        futures = [pool.submit(work, side, n) for n, side in enumerate(sides)]
        try:
            return [future.result() for future in as_completed(futures)]
        finally:
            is_over.set()  # after an error, or Ctrl-C


if __name__ == "__main__":
    sys.exit(main())

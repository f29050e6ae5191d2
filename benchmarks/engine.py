"""What the engine costs by itself, without a server: `lsp_server.model.llama.Llama` with a real model.

usage: python benchmarks/engine.py [--model PATH|ID] [--threads N] [--repeats N] [--json FILE] [--plot FILE.svg]

batch     evaluating so many tokens at once behind a prompt of 256, with the logits of all (of 16 at most), per token
prefill   evaluating a prompt of which nothing is known
load      from the call to a model that can be asked, its own warming up included
abort     from `abort()` on another thread, at a random moment of a long evaluation, until the engine is free
copy      giving one sequence what another holds
save, restore  a sequence's state, to and from memory, where the model allows it

The text is that of Python's argparse. Shown are medians, and in brackets the smallest and the largest.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import command
import figures
from command import tell
from figures import Panel, Row

from lsp_server.model import llama, registry
from lsp_server.model.base import COMPLETION, MAX_LOGITS, NEAR, Aborted
from lsp_server.model.llama_library import build_info
from lsp_server.model.memory import default_threads

N_CTX = 4096
WIDTHS = (1, 2, 3, 4, 6, 8, 16, 32)
LENGTHS = (64, 256, 512, 1024, 2048)
HELD = 256  # tokens behind which a batch is evaluated
STATE = 1024  # tokens of the sequence that is copied, saved and restored
LOADS = 3
ABORTS_PER_REPEAT = 4
ABORT_AFTER_S = (0.02, 1.5)
PANELS = (
    Panel("Batch, per token", "less is better", tuple(f"batch of {n}" for n in WIDTHS)),
    Panel("Prefill", "more is better", tuple(f"prefill of {n:,}" for n in LENGTHS)),
    Panel("Free after an abort", "less is better", ("abort, p50", "abort, p95")),
    Panel(f"A sequence of {STATE:,} tokens", "less is better", ("copy", "save", "restore")),
    Panel("Loading", "less is better", ("load",)),
)


@dataclass
class Measured:
    """Values by the title of their row, each of one evaluation or call; and their units."""

    values: dict[str, list[float]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)

    def add(self, title: str, unit: str, value: float) -> None:
        """Keep one more value."""
        self.values.setdefault(title, []).append(value)
        self.units[title] = unit

    def rows(self) -> list[Row]:
        """The lines of the summary: of aborts the percentiles, of all else the median and what it lies between."""
        rows: list[Row] = []
        for title, values in self.values.items():
            unit = self.units[title]
            if title == "abort":
                for name, part in (("p50", 0.5), ("p95", 0.95)):
                    rows.append(Row(f"abort, {name}", figures.percentile(values, part), unit=unit))
            else:
                rows.append(Row(title, figures.median(values), unit=unit, kruk_interval=figures.extremes(values)))
        return rows


def main() -> int:
    """Measure, print the summary, write the file; the exit code is 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", metavar="N", type=int, default=default_threads(), help="default: %(default)s")
    parser.add_argument("--repeats", metavar="N", type=int, default=10, help="of each (default: %(default)s)")
    command.add_model_argument(parser)
    command.add_output_arguments(parser)
    arguments = command.parse(parser)
    measured = Measured()
    code = command.run(lambda: _measure(arguments, measured))
    if measured.values:
        command.report(
            arguments,
            "The engine alone",
            f"{arguments.repeats} repeats, {arguments.threads} threads, {arguments.model.name}",
            measured.rows(),
            PANELS,
            benchmark="engine",
            model=arguments.model.name,
            threads=arguments.threads,
            build=build_info(),
            values=measured.values,
        )
    return code


def _measure(arguments: argparse.Namespace, measured: Measured) -> None:
    for n in range(LOADS):
        tell(f"loading, {n + 1}/{LOADS}")
        started = time.perf_counter()
        model = _load(arguments)
        measured.add("load", "ms", _ms_since(started))
        if n < LOADS - 1:
            model.close()
    try:
        text = model.tokenize(_text())
        for n in range(arguments.repeats):
            # All kinds in each turn, so that a noisy minute hits all of them.
            tell(f"repeat {n + 1}/{arguments.repeats}")
            rng = random.Random(n)
            _batches(model, text, rng, measured)
            _prefills(model, text, rng, measured)
            _states(model, text, rng, measured)
            for _ in range(ABORTS_PER_REPEAT):
                took_ms = abort_once(model, _piece(text, 2048, rng), rng.uniform(*ABORT_AFTER_S))
                if took_ms is not None:
                    measured.add("abort", "ms", took_ms)
    finally:
        model.close()


def _load(arguments: argparse.Namespace) -> llama.Llama:
    return llama.load(registry.locate(str(arguments.model)), N_CTX, arguments.threads, lambda _: None, lambda: True)


def _batches(model: llama.Llama, text: Sequence[int], rng: random.Random, measured: Measured) -> None:
    held = _piece(text, HELD + max(WIDTHS), rng)
    for width in WIDTHS:
        model.evaluate(COMPLETION, held[:HELD])
        started = time.perf_counter()
        model.evaluate(COMPLETION, held[: HELD + width], min(width, MAX_LOGITS))
        measured.add(f"batch of {width}", "ms", _ms_since(started) / width)


def _prefills(model: llama.Llama, text: Sequence[int], rng: random.Random, measured: Measured) -> None:
    for length in LENGTHS:
        piece = _piece(text, length, rng)
        started = time.perf_counter()
        n_evaluated = model.evaluate(COMPLETION, piece).n_evaluated
        measured.add(f"prefill of {length:,}", "tokens/s", n_evaluated / (time.perf_counter() - started))


def _states(model: llama.Llama, text: Sequence[int], rng: random.Random, measured: Measured) -> None:
    model.evaluate(COMPLETION, _piece(text, STATE, rng))
    started = time.perf_counter()
    model.copy(COMPLETION, NEAR, STATE)
    measured.add("copy", "ms", _ms_since(started))
    started = time.perf_counter()
    state = model.save(COMPLETION)
    if state is None:
        return  # this model's memory cannot be saved
    measured.add("save", "ms", _ms_since(started))
    started = time.perf_counter()
    model.restore(NEAR, state)
    measured.add("restore", "ms", _ms_since(started))


def abort_once(model: llama.Llama, token_ids: Sequence[int], after_s: float) -> float | None:
    """Milliseconds from `abort()`, so long after the start, until the engine is free; None: it was done before."""
    called_at = 0.0

    def abort() -> None:
        nonlocal called_at
        called_at = time.perf_counter()
        model.abort()

    timer = threading.Timer(after_s, abort)
    timer.start()
    try:
        model.evaluate(COMPLETION, token_ids)
    except Aborted:
        return _ms_since(called_at)
    finally:
        timer.cancel()
        timer.join()
        model.allow()
    return None


def _piece(text: Sequence[int], n: int, rng: random.Random) -> list[int]:
    """So many tokens from a random place, so that hardly any of them are in the KV cache."""
    start = rng.randrange(len(text) - n)
    return list(text[start : start + n])


def _text() -> str:
    """The source of a module that every Python has, of about twenty thousand tokens."""
    return Path(argparse.__file__).read_text(encoding="utf-8")


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1e3


if __name__ == "__main__":
    sys.exit(main())

"""How much longer Kruk's model takes beside other work: busy processes, and a second Kruk.

usage: python benchmarks/neighbours.py [--model PATH|ID] [--requests N] [--runs R] [--json FILE]

A request is what typing asks of the model: 2 to 4 tokens of prompt, then 6 tokens one by one, then a pause of 100 to
300 ms. Each run goes through alone, beside a busy process on every core but one, beside one on every core, and two
Kruks at once. Ratios compare what was measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import figures
import psutil

from lsp_server.model import registry
from lsp_server.model.base import COMPLETION, Model
from lsp_server.model.catalogue import DEFAULT_MODEL
from lsp_server.model.worker import Steps, Urgency, Worker, persist

N_PROMPT = 300  # tokens that are in the KV cache
N_NEW = (2, 3, 4)
N_GENERATED = 6
PAUSE_S = (0.1, 0.3)


class Engine:
    """Kruk's model in a process of its own."""

    def __init__(self, model: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--engine", str(model)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.hear()

    def ask(self, n_requests: int, seed: str) -> None:
        """Begin so many requests."""
        assert self._process.stdin
        self._process.stdin.write(f"{n_requests} {seed}\n")
        self._process.stdin.flush()

    def hear(self) -> list[float]:
        """Wait for their milliseconds."""
        assert self._process.stdout
        answer: list[float] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def main() -> int:
    """Measure, print the table, write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", metavar="PATH|ID", default="", help="default: what `kruk models use` chose")
    parser.add_argument("--requests", metavar="N", type=int, default=12, help="in each place (default: %(default)s)")
    parser.add_argument("--runs", metavar="R", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="where to write everything that was measured")
    parser.add_argument("--engine", metavar="PATH", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.engine:
        serve(arguments.engine)
        return 0
    model = registry.locate(arguments.model or registry.default_choice() or DEFAULT_MODEL).path
    n_cores = psutil.cpu_count() or 1
    with ExitStack() as stack:
        engines = [Engine(model) for _ in range(2)]
        for engine in engines:
            stack.callback(engine.close)
        runs = [measure(engines, n_cores, arguments.requests, str(n)) for n in range(arguments.runs)]
    rows = summary(runs)
    figures.show(rows, f"Neighbours: {n_cores} cores, {model.name}")
    if arguments.json:
        figures.save(
            arguments.json,
            benchmark="neighbours",
            model=model.name,
            machine=figures.machine(),
            summary=[asdict(row) for row in rows],
            runs=runs,
        )
    return 0


def measure(engines: Sequence[Engine], n_cores: int, n_requests: int, seed: str) -> dict[str, list[float]]:
    """One run: the milliseconds of each request by the place it was made in."""
    places = {"alone": 0, f"beside {n_cores - 1} busy": n_cores - 1, f"beside {n_cores} busy": n_cores}
    ms = {}
    for place, n_busy in places.items():
        with busy(n_busy):
            engines[0].ask(n_requests, seed)
            ms[place] = engines[0].hear()
    for n, engine in enumerate(engines):
        engine.ask(n_requests, f"{seed}{n}")
    for n, engine in enumerate(engines, 1):
        ms[f"two Kruks, {n}"] = engine.hear()
    return ms


def summary(runs: Sequence[dict[str, list[float]]]) -> list[figures.Row]:
    """The median and p95 of each place, and the median of the runs' ratios to what it is alone."""
    rows = []
    for place in runs[0]:
        every = [ms for run in runs for ms in run[place]]
        rows.append(figures.Row(f"{place}, p50", figures.percentile(every, 0.5), unit="ms"))
        rows.append(figures.Row(f"{place}, p95", figures.percentile(every, 0.95), unit="ms"))
        if place != "alone":
            ratios = [statistics.median(run[place]) / statistics.median(run["alone"]) for run in runs]
            rows.append(figures.Row(f"{place} ÷ alone, p50", statistics.median(ratios)))
    return rows


@contextmanager
def busy(n: int) -> Iterator[None]:
    """Keep so many cores busy."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def serve(path: str) -> None:
    """Be an engine: for each line with a number and a seed, make so many requests and print their milliseconds."""
    from lsp_server.model import llama

    worker = Worker(lambda _: None)
    worker.load(lambda tell, keep_on: llama.load(registry.locate(path), 4096, 0, tell, keep_on))
    text = Path(__file__).read_text(encoding="utf-8")
    ids = worker.submit(Urgency.COMPLETION, lambda model: _prepare(model, text)).result()
    print("[]", flush=True)
    for line in sys.stdin:
        n_requests, seed = line.split()
        rng = random.Random(seed)
        ms = []
        for _ in range(int(n_requests)):
            n_new = rng.choice(N_NEW)
            began = time.perf_counter()
            worker.submit(Urgency.COMPLETION, lambda model, n=n_new: request(model, ids, n)).result()  # type: ignore[misc]
            ms.append((time.perf_counter() - began) * 1e3)
            time.sleep(rng.uniform(*PAUSE_S))
        print(json.dumps(ms), flush=True)
    worker.close()


def request(model: Model, ids: Sequence[int], n_new: int) -> Steps[None]:
    """Evaluate `n_new` tokens behind the prompt, then others one by one."""
    last = ids[N_PROMPT + n_new : N_PROMPT + n_new + N_GENERATED]
    prompt = [*ids[:N_PROMPT], *reversed(ids[N_PROMPT : N_PROMPT + n_new])]
    for n in range(len(last) + 1):
        yield from persist(lambda n=n: model.evaluate(COMPLETION, [*prompt, *last[:n]]))  # type: ignore[misc]
        model.logits().argmax()
        yield


def _prepare(model: Model, text: str) -> Steps[list[int]]:
    """Return the text's token ids, the prompt's among them evaluated."""
    ids = model.tokenize(text)
    yield from persist(lambda: model.evaluate(COMPLETION, ids[:N_PROMPT]))
    return ids


if __name__ == "__main__":
    sys.exit(main())

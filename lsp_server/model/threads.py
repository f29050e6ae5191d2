"""How many threads the model works with: measured once, and changed while something else wants the processor.

ggml's threads meet after each node of the graph, some 500 times for each token. One thread that has to share
its core holds up all the others, so beside a busy neighbour fewer threads are faster. Knows nothing of llama.cpp.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psutil

from lsp_server.paths import CacheFolder

WIDE = 8  # tokens; a wider batch is prompt evaluation, and says little about a single token
N_TRIALS = 3  # evaluations whose median judges a number of threads
TOO_SLOW = 1.7  # times what is usual
HOPELESS = 1.3  # times the best that was found: one evaluation is enough
PATIENCE = 8  # evaluations; twice as many until the usual number is tried again, and so on each time it is slow
MOST_PATIENCE = 128
N_CALM = 100  # evaluations at the usual number of threads after which a disturbance is forgotten
GOOD_ENOUGH = 1.05  # fewer threads are taken when they are nearly as fast: the rest is the editor's
SLOW_MS = 60  # a token that takes longer is measured once
MOST_S = 0.7  # of measuring; then no further number is begun
QUIET_CORES = 0.3  # that others may use while we measure, for the result to be kept
LOOK_S = 0.2  # over which it is seen how busy others are
_KEPT_BYTES = 100_000


@dataclass(frozen=True)
class Cost:
    """Milliseconds that evaluating one token takes, and `WIDE` tokens at once."""

    one: float
    wide: float

    def of(self, n_tokens: int) -> float:
        """What a batch of up to `WIDE` tokens should take."""
        return self.one + (self.wide - self.one) * (n_tokens - 1) / (WIDE - 1)


class Others:
    """How many cores everybody else keeps busy."""

    def __init__(self) -> None:
        self.cores = 0.0
        self._at, self._used_s = time.perf_counter(), _others_seconds()

    def look(self) -> float:
        """Cores in use since the look before, which was at least `LOOK_S` ago."""
        now = time.perf_counter()
        if now - self._at >= LOOK_S:
            used_s = _others_seconds()
            self.cores = (used_s - self._used_s) / (now - self._at)
            self._at, self._used_s = now, used_s
        return self.cores


class Threads:
    """Watches how long evaluations take, and says when another number of threads is worth a try.

    Every time counts as that of a single token. When the median stays above what is usual, or one is while others
    need our cores, each lower number gets a few evaluations, and the fastest stays. From time to time, and not while
    others still need our cores, the usual number is tried again.
    """

    def __init__(
        self,
        costs: Mapping[int, Cost],
        usual: int,
        n: int | None = None,
        others: Callable[[], float] = lambda: 0.0,
        n_cores: int = 1,
    ) -> None:
        """costs: by the numbers of threads that may be used. `usual`, the best when alone, and `n` are of them.

        others: how many of the `n_cores` they keep busy now.
        """
        self._others, self._n_cores = others, n_cores
        self.usual = usual
        self.n = n or usual
        self._costs = dict(costs)
        self._usual_ms = {n: cost.one for n, cost in costs.items()}
        self._recent: list[float] = []
        self._found: dict[int, float] = {}  # milliseconds by number of threads, while several are tried
        self._to_try: list[int] = []
        self._patience = PATIENCE
        self._n_evaluations = 0  # since the number of threads was decided

    def told(self, n_tokens: int, ms: float) -> int | None:
        """Hear how long an evaluation took; returns the number of threads for the next one when it changes."""
        if n_tokens > WIDE or len(self._costs) < 2:
            return None
        cost = self._costs[self.n]
        self._recent = [*self._recent[1 - N_TRIALS :], ms * cost.one / cost.of(n_tokens)]
        before = self.n
        if self._found:
            self._try()
        else:
            self._watch()
        if self.n == before:
            return None
        self._recent = []
        return self.n

    def _watch(self) -> None:
        self._n_evaluations += 1
        is_slow = self._recent[-1] > TOO_SLOW * self._usual_ms[self.n]
        if len(self._recent) < N_TRIALS and not (is_slow and self._is_crowded()):
            return
        now_ms = statistics.median(self._recent)
        self._usual_ms[self.n] = min(self._usual_ms[self.n], now_ms)
        lower = sorted(n for n in self._costs if n < self.n)
        if lower and now_ms > TOO_SLOW * self._usual_ms[self.n]:
            self._search(now_ms, lower)
        elif self.n != self.usual and self._n_evaluations >= self._patience and not self._is_crowded():
            self._search(now_ms, [self.usual])
        elif self.n == self.usual and self._n_evaluations >= N_CALM:
            self._patience = PATIENCE

    def _is_crowded(self) -> bool:
        """Whether others need so much that the usual threads cannot have a core each."""
        return self._others() + self.usual > self._n_cores + QUIET_CORES

    def _search(self, now_ms: float, to_try: list[int]) -> None:
        self._found = {self.n: now_ms}
        self._to_try = to_try
        self.n = self._to_try.pop()

    def _try(self) -> None:
        best_ms = min(self._found.values())
        if len(self._recent) < N_TRIALS and self._recent[-1] < HOPELESS * best_ms:
            return
        self._found[self.n] = statistics.median(self._recent)
        if self._to_try:
            self.n = self._to_try.pop()
            return
        began_with = next(iter(self._found))
        self.n = min(self._found, key=self._found.__getitem__)
        if self.n == began_with:
            self._usual_ms[self.n] = self._found[self.n]  # slow for another reason, a long context perhaps
        if self.n != self.usual:
            self._patience = min(2 * self._patience, MOST_PATIENCE)
        self._found = {}
        self._n_evaluations = 0


def candidates(n_most: int) -> list[int]:
    """Numbers of threads that are worth measuring, the most first."""
    return sorted({n_most, max(1, n_most - 1), max(1, n_most * 3 // 4), max(1, n_most // 2), 1}, reverse=True)


def choose(n_most: int, key: str, measure: Callable[[int, int], float]) -> Threads:
    """Choose by measuring up to `n_most` threads, or by what was measured before under `key`.

    `measure` evaluates a batch with so many threads, of so many tokens, and returns its milliseconds. What is
    measured while something else is busy is used, but not kept; the most threads are then the usual ones.
    """
    folder, n_cores = CacheFolder("threads", _KEPT_BYTES), os.cpu_count() or 1
    if (kept := _read(folder, key)) is not None:
        return Threads(kept, fastest(kept), None, Others().look, n_cores)
    others_s, began = _others_seconds(), time.perf_counter()
    costs: dict[int, Cost] = {}
    for n in candidates(n_most):
        if costs and time.perf_counter() - began > MOST_S:
            break
        first_ms = measure(n, 1)  # makes the threads, too
        if costs and first_ms > HOPELESS * HOPELESS * min(cost.one for cost in costs.values()):
            continue
        n_trials = N_TRIALS if first_ms < SLOW_MS else 1
        costs[n] = Cost(min(measure(n, 1) for _ in range(n_trials)), measure(n, WIDE))
    is_quiet = _others_seconds() - others_s < QUIET_CORES * (time.perf_counter() - began)
    best = fastest(costs)
    for n in candidates(n_most):  # what was not measured may still be tried: suppose that each thread counts
        costs.setdefault(n, Cost(costs[best].one * best / n, costs[best].wide * best / n))
    if not is_quiet:
        return Threads(costs, n_most, best, Others().look, n_cores)
    folder.write(key, json.dumps({n: [cost.one, cost.wide] for n, cost in costs.items()}).encode())
    return Threads(costs, best, None, Others().look, n_cores)


def fastest(costs: Mapping[int, Cost]) -> int:
    """Return the least number of threads that is about as fast as the fastest."""
    sums = {n: cost.one + cost.wide for n, cost in costs.items()}
    return min(n for n, total in sums.items() if total <= GOOD_ENOUGH * min(sums.values()))


def _read(folder: CacheFolder, key: str) -> dict[int, Cost] | None:
    try:
        kept = json.loads(folder.at(key).read_bytes())
        costs = {int(n): Cost(float(one), float(wide)) for n, (one, wide) in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return costs if costs and all(n > 0 < min(cost.one, cost.wide) for n, cost in costs.items()) else None


def _others_seconds() -> float:
    """Seconds of processor time that everybody else has used since the machine was started."""
    times = psutil.cpu_times()
    return float(times.user + times.system + getattr(times, "nice", 0.0)) - time.process_time()

"""What many cases say together: figures with 95 % intervals by kind and language, comparisons, a recommendation."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lsp_server.evaluation.figures import bootstrap, figure, mean, percentile, wilson
from lsp_server.evaluation.holes import KINDS
from lsp_server.evaluation.run import Case, Measured

ALL = "all"
SLOW_MS = 1500  # who types has long gone on by then
MIN_DISPUTED = 6  # of fewer, chance alone gives all to one side in more than 1 of 20 cases


@dataclass(frozen=True)
class Figure:
    """A figure and its 95 % interval; None where nothing was measured."""

    value: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Row:
    """A configuration's figures in the holes of one kind and language, `ALL` for any. Shares go from 0 to 1."""

    kind: str
    language: str
    configuration: str
    n: int
    n_empty: int
    exact: Figure
    similarity: Figure
    parses: Figure
    n_repeats: int
    p50_ms: Figure
    p95_ms: Figure


@dataclass(frozen=True)
class Comparison:
    """A configuration beside the first one, on the holes that all of them were asked.

    Attributes:
        exact, p50_ms: On those holes.
        exact_more, ms_ratio: This one's exact first lines minus the first's, and its time ÷ the first's, in pairs;
            no interval for the first itself.
        n_disputed: How many holes only one of the two got right.
        memory_mib: The most that its process took; None when it never answered.
        is_front: Whether no other is better, faster and smaller: as good in all three, and ahead in one.
    """

    configuration: str
    n: int
    exact: float
    p50_ms: float
    exact_more: Figure
    ms_ratio: Figure
    n_disputed: int
    memory_mib: float | None
    is_front: bool

    @property
    def is_better(self) -> bool:
        """Whether it is shown that it gets more right than the first."""
        return self.n_disputed >= MIN_DISPUTED and (self.exact_more.interval or (0.0,))[0] > 0

    @property
    def is_slower(self) -> bool:
        """Whether it is shown that it takes longer than the first."""
        return (self.ms_ratio.interval or (1.0,))[0] > 1


def rows(measured: Measured, seed: str) -> list[Row]:
    """A row for each kind, language and configuration that has cases, then those of all kinds."""
    found = []
    for kind in (*KINDS, ALL):
        for language in (ALL, *languages(measured)):
            for name, cases in measured.cases.items():
                mine = [case for case in cases if _is_of(measured, case, kind, language)]
                if mine:
                    found.append(_row(kind, language, name, mine, seed))
    return found


def languages(measured: Measured) -> list[str]:
    """The languages of the holes, when there are several."""
    names = sorted({hole.language.name if hole.language else hole.language_id for hole in measured.holes})
    return names if len(names) > 1 else []


def compare(measured: Measured, seed: str) -> list[Comparison]:
    """Each configuration beside the first; nothing where not all of them have filled a hole."""
    them = [(name, {case.hole: case for case in cases}) for name, cases in measured.cases.items()]
    shared = sorted(set.intersection(*({*cases} for _name, cases in them))) if them else []
    if not shared:
        return []
    paired = [(name, [cases[hole] for hole in shared]) for name, cases in them]
    points = [
        (_exact(cases), -_p50([case.ms for case in cases]), -measured.memory_mib.get(name, 0))
        for name, cases in paired
    ]
    first = paired[0][1]
    return [
        Comparison(
            name,
            len(shared),
            point[0],
            -point[1],
            _paired(cases, first, lambda case: float(case.score.exact), seed),
            _ratio(cases, first, seed),
            sum(one.score.exact != other.score.exact for one, other in zip(cases, first, strict=True)),
            measured.memory_mib.get(name),
            not any(_beats(other, point) for other in points),
        )
        for (name, cases), point in zip(paired, points, strict=True)
    ]


def recommend(measured: Measured, seed: str) -> str:
    """One sentence: what to use, and what that rests on."""
    compared = compare(measured, seed)
    if not compared:
        return "Nothing can be recommended: no hole was filled by all."
    use, best, even = _choose(measured, compared, seed)
    if len(compared) == 1:
        end = "slow to type with; try a smaller" if use.p50_ms > SLOW_MS else "fast enough to type with; try a larger"
        return f"`{use.configuration}` {_told(use)}: {end} model beside it (`--models`)."
    why = []
    if use is not best:
        pair = _beside(measured, best, use, seed)
        cost = f"has {_times(pair)} the wait" if pair.is_slower else f"takes {_mib(best)}"
        why.append(f"{pair.n} holes do not show that `{best.configuration}` is better, {_gain(pair)}, and it {cost}")
    if others := [f"`{it.configuration}`" for it in even if it not in (use, best)]:
        are = "are" if len(others) > 1 else "is"
        why.append(f"{' and '.join(others)} {are} as good as far as {use.n} holes show, but slower or larger")
    if quicker := [it for it in compared if it not in even and it.p50_ms < use.p50_ms]:
        other = _choose(measured, quicker, seed)[0]
        pair = _beside(measured, use, other, seed)
        end = f"; take `{other.configuration}` if that is too slow" if use.p50_ms > SLOW_MS else ""
        why.append(f"that is {_gain(pair)} above `{other.configuration}`, for {_times(pair)} the wait{end}")
    if not why:
        why.append("no other is better or faster")
    return f"Use `{use.configuration}` for completion on this machine: it {_told(use)}; {'; '.join(why)}."


def _choose(
    measured: Measured, compared: Sequence[Comparison], seed: str
) -> tuple[Comparison, Comparison, list[Comparison]]:
    """What to use, the one that got most right, and those that are not shown to get less right than it.

    Of the last, the fastest; of those that are not shown to be slower than that, the smallest.
    """
    best = max(compared, key=lambda it: (it.exact, -it.p50_ms))
    even = [it for it in compared if it is best or not _beside(measured, best, it, seed).is_better]
    fastest = min(even, key=lambda it: it.p50_ms)
    fast = [it for it in even if it is fastest or not _beside(measured, it, fastest, seed).is_slower]
    return min(fast, key=lambda it: (it.memory_mib or math.inf, it.p50_ms)), best, even


def _told(it: Comparison) -> str:
    low, high = wilson(round(it.exact * it.n), it.n) or (0.0, 1.0)
    took = "" if it.memory_mib is None else f", with {_mib(it)}"
    share = f"{100 * it.exact:.0f} % of the first lines right ({100 * low:.0f} to {100 * high:.0f})"
    return f"gets {share}, in {_seconds(it.p50_ms)} at the median of first questions in a file{took}"


def _beside(measured: Measured, it: Comparison, other: Comparison, seed: str) -> Comparison:
    """Compare one configuration with another in place of the first."""
    names = (other.configuration, it.configuration)
    return compare(Measured(measured.holes, {name: measured.cases[name] for name in names}), seed)[1]


def _gain(pair: Comparison) -> str:
    low, high = pair.exact_more.interval or (0.0, 0.0)
    return f"{_points(pair.exact_more.value or 0)} points of first lines ({_points(low)} to {_points(high)})"


def _times(pair: Comparison) -> str:
    return f"{pair.ms_ratio.value or 0:.1f} times"


def _mib(it: Comparison) -> str:
    return figure(it.memory_mib, "MiB")


def _is_of(measured: Measured, case: Case, kind: str, language: str) -> bool:
    hole = measured.holes[case.hole]
    name = hole.language.name if hole.language else hole.language_id
    return kind in (ALL, hole.kind) and language in (ALL, name)


def _row(kind: str, language: str, name: str, cases: Sequence[Case], seed: str) -> Row:
    times = [case.ms for case in cases]
    parses = [case.score.parses for case in cases if case.score.parses is not None]
    similarities = [case.score.similarity for case in cases]
    return Row(
        kind,
        language,
        name,
        len(cases),
        sum(not case.text for case in cases),
        _share([case.score.exact for case in cases]),
        Figure(mean(similarities), bootstrap(similarities, seed)),
        _share(parses),
        sum(case.score.repeats for case in cases),
        _time(times, 0.5, seed),
        _time(times, 0.95, seed),
    )


def _share(values: Sequence[bool]) -> Figure:
    return Figure(mean([float(value) for value in values]), wilson(sum(values), len(values)))


def _time(times: Sequence[float], part: float, seed: str) -> Figure:
    statistic = functools.partial(_percentile, part=part)
    return Figure(percentile(times, part), bootstrap(times, seed, statistic))


def _percentile(values: Sequence[float], part: float) -> float:
    return percentile(values, part) or 0.0


def _p50(times: Sequence[float]) -> float:
    return _percentile(times, 0.5)


def _exact(cases: Iterable[Case]) -> float:
    return mean([float(case.score.exact) for case in cases]) or 0.0


def _paired(left: Sequence[Case], right: Sequence[Case], value: Callable[[Case], float], seed: str) -> Figure:
    """The mean of the differences in the same hole."""
    differences = [value(one) - value(other) for one, other in zip(left, right, strict=True)]
    return Figure(mean(differences), None if left is right else bootstrap(differences, seed))


def _ratio(left: Sequence[Case], right: Sequence[Case], seed: str) -> Figure:
    """The median of the ratios of time in the same hole."""
    ratios = [one.ms / other.ms for one, other in zip(left, right, strict=True) if other.ms]
    return Figure(percentile(ratios, 0.5), None if left is right else bootstrap(ratios, seed, _p50))


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether it is as good in everything, of which more is better, and ahead in something."""
    return all(a >= b for a, b in zip(one, other, strict=True)) and one != other


def _points(share: float) -> str:
    return f"{100 * share:+.0f}"


def _seconds(ms: float) -> str:
    return figure(ms / 1000, "s")

"""What was measured, as tables, Markdown, JSON values and a picture: without code or names of files, unless asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lsp_server.evaluation import plots
from lsp_server.evaluation.figures import UNKNOWN, machine, machine_lines, wilson
from lsp_server.evaluation.holes import KINDS
from lsp_server.evaluation.run import Case, Configuration, Measured
from lsp_server.evaluation.summary import ALL, Comparison, Figure, Row, compare, languages, recommend, rows

TITLES = {**KINDS, ALL: "all"}
_NOTE = (
    "In brackets: what holds the figure with 95 % confidence. First line: of the holes, how many got exactly the "
    "missing first line. Alike: how much of the missing text and the suggestion match. Parses: of the suggestions in "
    "files without a syntax error, how many leave them so. Repeats: how many say again what stands behind them. Each "
    "hole is the first question in its file. "
    "Cross-file: uses what only another file defines; hard: and what the file names nowhere else."
)


@dataclass(frozen=True)
class Sheet:
    """A table as texts; the first `n_labels` columns are labels."""

    title: str
    n_labels: int
    header: tuple[str, ...]
    lines: list[tuple[str, ...]]


def sheets(measured: Measured, seed: str) -> list[Sheet]:
    """The tables: by kind and language, then the comparison of several configurations."""
    found = [_by_kind(measured, seed)]
    if len(measured.cases) > 1:
        found.append(_comparison(compare(measured, seed)))
    return found


def notes(measured: Measured) -> list[str]:
    """What belongs below the tables: memory, and why there was no suggestion."""
    found = []
    if len(measured.cases) == 1:
        found += [f"Memory: {mib:,.0f} MiB at most" for mib in measured.memory_mib.values()]
    for name, cases in measured.cases.items():
        counts = Counter(case.reason for case in cases if case.reason)
        found += [f"{name}: no suggestion {n} ×: {reason}" for reason, n in counts.most_common()]
    return found


def markdown(
    measured: Measured, configurations: Sequence[Configuration], seed: str, picture: str, with_code: bool
) -> str:
    """A report to share. `picture`: where the plot is, seen from the report; "" for none."""
    parts = ["# How good suggestions are on this code", recommend(measured, seed)]
    parts += [f"![Figures by kind of hole]({picture})"] if picture else []
    for sheet in sheets(measured, seed):
        parts += [f"## {sheet.title}", _markdown_table(sheet)]
    parts += [_NOTE, "\n".join(f"- {note}" for note in notes(measured))]
    settings = [f"- `{it.name}`: `{it.settings}`" for it in configurations if it.settings]
    made = "\n".join(f"- {line}" for line in [*machine_lines(machine()), f"holes by the seed `{seed}`"])
    parts += ["## How it was measured", "\n".join([made, *settings])]
    if with_code:
        parts += ["## The holes", *_code(measured)]
    return "\n\n".join(filter(None, parts)) + "\n"


def as_dict(
    measured: Measured, configurations: Sequence[Configuration], seed: str, with_code: bool
) -> dict[str, Any]:
    """Everything as JSON values."""
    return {
        "seed": seed,
        "machine": machine(),
        "configurations": [{"name": it.name, "settings": it.settings} for it in configurations],
        "summary": [asdict(row) for row in rows(measured, seed)],
        "comparison": [asdict(it) for it in compare(measured, seed)],
        "recommendation": recommend(measured, seed),
        "memoryMib": measured.memory_mib,
        "cases": [_case(measured, name, case, with_code) for name, cases in measured.cases.items() for case in cases],
    }


def picture(measured: Measured, seed: str) -> str:
    """First lines, likeness and waiting by kind, and memory, as an SVG; a star marks who is on the Pareto front."""
    keys = {name: f"s{n}" for n, name in enumerate(measured.cases)}
    compared = compare(measured, seed)
    stars = {it.configuration for it in compared if it.is_front and len(compared) > 1}
    series = {key: name + (" ★" if name in stars else "") for name, key in keys.items()}
    found = [row for row in rows(measured, seed) if row.language == ALL]

    def panel(title: str, note: str, unit: str, name: str) -> plots.Panel:
        lines = []
        for kind, shown in TITLES.items():
            mine = [(keys[row.configuration], getattr(row, name)) for row in found if row.kind == kind]
            bars = [plots.Bar(key, it.value, it.interval) for key, it in mine if it.value is not None]
            lines += [plots.Row(shown, bars)] if bars else []
        return plots.Panel(title, note, unit, lines)

    panels: list[plots.Panel | plots.Field] = [_field(compared, keys)] if len(compared) > 1 else []
    panels += [
        panel("First line exact", "of the holes, in percent: more is better", "%", "exact"),
        panel("Alike", "how much matches, in percent: more is better", "%", "similarity"),
        panel("Time, p50", "from the question to the answer: less is better", "ms", "p50_ms"),
        panel("Time, p95", "from the question to the answer: less is better", "ms", "p95_ms"),
    ]
    took = [plots.Bar(keys[name], mib) for name, mib in measured.memory_mib.items() if name in keys]
    if len(took) > 1:
        panels.append(
            plots.Panel("Memory", "the most that the process took: less is better", "MiB", [plots.Row("", took)])
        )
    n = len({case.hole for cases in measured.cases.values() for case in cases})
    subtitle = f"{n} holes; the lines are 95 % intervals" + (
        "; ★: nobody is better, faster and smaller" if stars else ""
    )
    one = "" if len(series) > 1 else f": {next(iter(series.values()), '')}"
    return plots.draw(f"Suggestions on one's own code{one}", subtitle, series, panels, machine_lines(machine()))


def _field(compared: Sequence[Comparison], keys: Mapping[str, str]) -> plots.Field:
    spots = [
        plots.Spot(
            keys[it.configuration],
            it.p50_ms,
            it.exact,
            wilson(round(it.exact * it.n), it.n),
            it.memory_mib or 0.0,
            it.is_front,
        )
        for it in compared
    ]
    note = "first lines exact by median time; the area is memory: upper left and small is best"
    return plots.Field("Which one?", note, "ms", spots)


def _by_kind(measured: Measured, seed: str) -> Sheet:
    has_several, has_languages = len(measured.cases) > 1, bool(languages(measured))

    def labels(kind: str, language: str, configuration: str) -> tuple[str, ...]:
        return (kind, *([language] if has_languages else []), *([configuration] if has_several else []))

    lines = [
        (
            *labels(TITLES[row.kind], row.language, row.configuration),
            str(row.n),
            *(_percent(it) for it in (row.exact, row.similarity, row.parses)),
            str(row.n_repeats),
            *(_seconds(it) for it in (row.p50_ms, row.p95_ms)),
        )
        for row in _worth_showing(rows(measured, seed))
    ]
    header = (*labels("hole", "language", "model"), "n", "first line %", "alike %", "parses %", "repeats")
    n_labels = 1 + has_several + has_languages
    return Sheet("By kind of hole", n_labels, (*header, "p50 s", "p95 s"), lines)


def _worth_showing(found: Sequence[Row]) -> Iterator[Row]:
    """Every row but those of languages with so few holes of a kind that they say nothing."""
    yield from (row for row in found if row.language == ALL or row.n >= 5 or row.kind == ALL)


def _comparison(compared: Sequence[Comparison]) -> Sheet:
    lines: list[tuple[str, ...]] = []
    for it in compared:
        more = f"{100 * (it.exact_more.value or 0):+.1f}{_between(it.exact_more.interval, '+.1f', 100)}"
        times = f"{it.ms_ratio.value or 0:.2f}{_between(it.ms_ratio.interval, '.2f')}"
        is_first = it.exact_more.interval is None
        memory = UNKNOWN if it.memory_mib is None else f"{it.memory_mib:,.0f}"
        exact, p50 = f"{100 * it.exact:.1f}", f"{it.p50_ms / 1000:.2f}"
        of_first = (UNKNOWN, UNKNOWN) if is_first else (more, times)
        lines.append((it.configuration, exact, of_first[0], p50, of_first[1], memory, "★" if it.is_front else ""))
    header = ("configuration", "first line %", "more than the first, points", "p50 s", "÷ the first's")
    n = compared[0].n if compared else 0
    title = f"On the same {n} holes; ★: nobody is better, faster and smaller"
    return Sheet(title, 1, (*header, "MiB", "★"), lines)


def _percent(it: Figure) -> str:
    return UNKNOWN if it.value is None else f"{100 * it.value:.0f}{_between(it.interval, '.0f', 100)}"


def _seconds(it: Figure) -> str:
    form = ".1f" if (it.value or 0) > 1000 else ".2f"
    return UNKNOWN if it.value is None else f"{it.value / 1000:{form}}{_between(it.interval, form, 1e-3)}"


def _between(interval: tuple[float, float] | None, form: str, times: float = 1) -> str:
    if interval is None:
        return ""
    low, high = (format(times * value, form) for value in interval)
    return f" ({low}–{high})" if "+" not in form else f" ({low} to {high})"


def _case(measured: Measured, name: str, case: Case, with_code: bool) -> dict[str, Any]:
    hole = measured.holes[case.hole]
    shown = {
        "hole": case.hole,
        "kind": hole.kind,
        "language": hole.language.name if hole.language else hole.language_id,
        "configuration": name,
        "ms": round(case.ms, 2),
        "reason": case.reason,
        "confidence": case.confidence,
        **asdict(case.score),
    }
    code = {"place": hole.name, "symbol": hole.symbol, "wanted": hole.middle, "text": case.text}
    return shown | code if with_code else shown


def _code(measured: Measured) -> Iterator[str]:
    answers = {(name, case.hole): case for name, cases in measured.cases.items() for case in cases}
    for number, hole in enumerate(measured.holes):
        told = [f"### {hole.name}, {TITLES[hole.kind]}", _fenced(hole.prefix.rpartition("\n")[2] + "├" + hole.middle)]
        for name in measured.cases:
            if case := answers.get((name, number)):
                told += [
                    f"{name}, {'exact' if case.score.exact else 'other'}:",
                    _fenced(case.text or case.reason or ""),
                ]
        if len(told) > 2:
            yield "\n\n".join(told)


def _fenced(text: str) -> str:
    fence = "````" if "```" in text else "```"
    return f"{fence}\n{text}\n{fence}"


def _markdown_table(sheet: Sheet) -> str:
    marks = ["---" if n < sheet.n_labels else "--:" for n in range(len(sheet.header))]
    return "\n".join(f"| {' | '.join(line)} |" for line in [sheet.header, marks, *sheet.lines])

"""The parts of benchmarks/ that need neither a model nor a server."""

from __future__ import annotations

import argparse
import io
import json
import random
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from rich.console import Console

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))

import cross_file  # noqa: E402
import editor  # noqa: E402
import engine  # noqa: E402
import everyday  # noqa: E402
import execute  # noqa: E402
import figures  # noqa: E402
import fill_in  # noqa: E402
import holes  # noqa: E402
import peer  # noqa: E402
import plots  # noqa: E402
import processes  # noqa: E402
import sources  # noqa: E402
import tasks  # noqa: E402
import team  # noqa: E402
import typing_latency  # noqa: E402
from answers import Answer  # noqa: E402

from lsp_server.errors import KrukError  # noqa: E402
from lsp_server.evaluation import editor as evaluation_editor  # noqa: E402
from lsp_server.evaluation.holes import cut_lines  # noqa: E402
from lsp_server.model.base import Aborted  # noqa: E402

SIZES = (1, 2, 3)
HOLE = holes.Hole("h", "h.py", "python", "", "total = 1", "\n")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    body = '    """Say what it does, not how."""\n    total_ms = number * 1000 + rest\n    return total_ms\n\n\n'
    for name in "abcd":
        text = "".join(f"def {name}{n}(number, rest):\n{body}" for n in range(30))
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "notes.txt").write_text("total = 1\n" * 400)
    return tmp_path


def test_holes_are_the_same_for_the_same_seed(tree: Path) -> None:
    found = holes.find_holes(tree, 6, "1", SIZES, 10)
    assert found == holes.find_holes(tree, 6, "1", SIZES, 10)
    assert found != holes.find_holes(tree, 6, "2", SIZES, 10)
    assert len({hole.name for hole in found}) == 6


def test_fewer_holes_are_the_first_of_more(tree: Path) -> None:
    assert holes.find_holes(tree, 2, "1", SIZES, 10) == holes.find_holes(tree, 6, "1", SIZES, 10)[:2]


def test_a_hole_put_back_together_is_the_file(tree: Path) -> None:
    for hole in holes.find_holes(tree, 8, "1", SIZES, 10):
        assert hole.prefix + hole.middle + hole.suffix == (tree / hole.file).read_text()
        assert hole.suffix.startswith("\n")
        assert not hole.middle[0].isspace()


def test_a_hole_is_not_in_a_docstring(tree: Path) -> None:
    assert not any('"""' in hole.middle[:3] for hole in holes.find_holes(tree, 8, "1", (1,), 10))


def test_too_few_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KrukError, match="room for 0 holes, not for 1"):
        holes.find_holes(tmp_path, 1, "1", SIZES, 10)


def test_cut_lines_leaves_the_indentation() -> None:
    assert cut_lines("a\n\tb\n c\nd", 1, 2) == ("a\n\t", "b\n c", "\nd")


def test_bursts_join_to_the_text() -> None:
    text = "for number in range(10):\n    print(number)"
    pieces = list(holes.bursts(text, random.Random("1")))
    assert "".join(pieces) == text
    assert {len(piece) for piece in pieces[:-1]} <= set(range(1, 7))
    assert pieces == list(holes.bursts(text, random.Random("1")))


def test_first_line() -> None:
    assert holes.first_line("\n  \n  a = 1 \nb") == "a = 1"
    assert holes.first_line(" \n") == ""


def test_task_of_leaves_indentation_and_line_end_in_the_file() -> None:
    row = SimpleNamespace(
        task_id="t",
        prompt="def f():\n",
        canonical_solution="    x = 1\n",
        suffix="    return x\n",
        test="",
        entry_point="f",
    )
    hole = tasks.task_of(row).hole
    assert (hole.prefix, hole.middle, hole.suffix) == ("def f():\n    ", "x = 1", "\n    return x\n")
    row.prompt, row.canonical_solution = "def f():\n    x", " = 1"
    assert tasks.task_of(row).hole.middle == " = 1"


def test_read_tasks_names_a_wrong_file(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"task_id": "x"}\n')
    with pytest.raises(KrukError, match="cannot be read"):
        tasks.read_tasks(path, 1, "1")


def test_edit_similarity() -> None:
    assert figures.edit_similarity("a = 1", "a = 1") == 1
    assert figures.edit_similarity("abc", "xyz") == 0
    assert figures.edit_similarity("abcd", "abcx") == pytest.approx(0.75)


def test_bootstrap_is_decided_by_the_seed() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0]
    interval = figures.bootstrap(values, "1")
    assert interval == figures.bootstrap(values, "1")
    assert interval is not None
    assert interval[0] < 0.6 < interval[1]
    assert figures.bootstrap([1.0] * 5, "1") == (1, 1)
    assert figures.bootstrap([], "1") is None


def test_percentile() -> None:
    assert figures.percentile([], 0.5) is None
    assert figures.percentile([3, 1, 2], 0.5) == 2
    assert figures.percentile([0, 10], 0.95) == pytest.approx(9.5)


def shown(rows: list[figures.Row]) -> str:
    stream = io.StringIO()
    figures.show(rows, "Title", Console(width=140, file=stream))
    return stream.getvalue()


def typed(cold_ms: float, *warm_ms: float) -> typing_latency.Typed:
    warm = [Answer("x", ms, 1, 2.0) for ms in warm_ms]
    return typing_latency.Typed(Answer("x", cold_ms, 9, 2.0), warm, 4, 2, 4, 1)


def test_typing_summary_without_a_peer() -> None:
    rows = typing_latency.summary([typing_latency.Case(1, "h", {"Kruk": typed(100, 10, 20)})])
    by_title = {row.title: row for row in rows}
    assert by_title["warm, p50"].kruk == 15
    assert by_title["line exact"].kruk == 0.25
    assert all(row.peer is None and row.ratio is None for row in rows)
    assert "peer" not in shown(rows)


def test_typing_ratios_are_of_the_same_run() -> None:
    cases = [
        typing_latency.Case(1, "h", {"Kruk": typed(10), "peer": typed(100)}),
        typing_latency.Case(2, "h", {"Kruk": typed(1000), "peer": typed(2000)}),
    ]
    row = typing_latency.summary(cases)[0]
    assert row.spread == (0.1, 0.5)
    assert row.ratio == pytest.approx(0.3)
    assert "0.300 (0.100–0.500)" in shown([row])


def test_typing_through_asks_nothing() -> None:
    class Side:
        process = psutil.Process()
        asked = 0

        def open(self, hole: holes.Hole) -> None:
            self.left = hole.middle

        def type(self, text: str) -> None:
            self.left = self.left.removeprefix(text)

        def ask(self) -> Answer:
            self.asked += 1
            return Answer(self.left + " and more", 1)

        def leave(self) -> None: ...

    side = Side()
    it = typing_latency.type_hole(side, HOLE, "1")
    assert (side.asked, it.warm, it.n_through) == (1, [], it.n_bursts)
    assert it.n_exact == 0
    assert it.rss_mib
    assert it.rss_mib > 10  # this process has NumPy in it


def test_fill_in_summary_without_a_peer() -> None:
    cases = [
        fill_in.Case("a", "x", {"Kruk": fill_in.Judged(Answer("x", 10), True, 1.0, True)}),
        fill_in.Case("b", "y", {"Kruk": fill_in.Judged(Answer("", 20, reason="why"), False, 0.0, True)}),
    ]
    rows = fill_in.summary(cases, "1")
    by_title = {row.title: row for row in rows}
    assert by_title["line exact"].kruk == 0.5
    assert by_title["empty answers"].kruk == 1
    assert "passes its tests" not in by_title
    assert fill_in.reasons(cases, "Kruk") == {"why": 1}
    assert "peer" not in shown(rows)


def test_a_hole_of_one_line_counts_the_first_line_only() -> None:
    assert fill_in.fitted("a\nb", "x") == "a"
    assert fill_in.fitted("\na\nb", "x") == "\na"
    assert fill_in.fitted("a\nb", "x\ny") == "a\nb"


def test_judge_line_sees_what_does_not_parse() -> None:
    hole = holes.Hole("h", "h.py", "python", "def f(a):\n    ", "return (a)", "\n")
    assert fill_in.judge_line(hole, Answer("return (a)", 1)) == fill_in.Judged(
        Answer("return (a)", 1), True, 1.0, True, None
    )
    assert fill_in.judge_line(hole, Answer("return (a", 1)).parses is False


def test_trace_of_a_known_suggestion_evaluates_nothing() -> None:
    trace = {"totalMs": 1.5, "reason": None, "rooms": [{"room": "cache", "ms": 0.1, "hit": True}]}
    assert editor.read_trace("x", 2.0, trace) == Answer("x", 2.0, 0, 1.5, None, waited=False)


def test_trace_without_model_and_debounce() -> None:
    rooms = [{"room": "debounce", "ms": 20}, {"room": "model", "ms": 70, "evaluatedTokens": 3}]
    answer = editor.read_trace("", 101.0, {"totalMs": 100, "reason": "why", "rooms": rooms})
    assert answer == Answer("", 101.0, 3, 10, "why", waited=True)


def test_who_joins_work_under_way_waits_for_the_model() -> None:
    rooms = [{"room": "joined", "ms": 60}, {"room": "cache", "ms": 1, "hit": True}]
    answer = editor.read_trace("x", 70.0, {"totalMs": 63, "rooms": rooms})
    assert answer.waited
    assert answer.outside_ms == 3


def test_trace_tells_when_the_engine_was_free() -> None:
    rooms = [{"room": "trigger", "ms": 2}, {"room": "queue", "ms": 5}, {"room": "model", "ms": 70}]
    assert editor.read_trace("x", 80.0, {"totalMs": 78, "rooms": rooms}).until_engine_ms == 7


def test_infill_body_is_llama_vims() -> None:
    prefix = "\n".join(f"line {n}" for n in range(300)) + "\n    x = "
    body = peer.infill_body(prefix, "1\n" + "below\n" * 100, 1000)
    assert body["input_prefix"].count("\n") == 256
    assert body["input_suffix"].count("\n") == 65
    assert (body["prompt"], body["n_indent"], body["t_max_predict_ms"]) == ("    x = ", 4, 1000)


def test_a_blank_line_is_asked_from_column_0() -> None:
    assert peer.infill_body("a\n    ", "\nb", None)["prompt"] == ""
    assert peer.shown("    x = 1\n", "a\n    ", "\nb") == "x = 1"
    assert peer.shown("      x\n", "a\n    ", "\nb") == "  x"
    assert peer.shown("  x", "a\n    y =", "\nb") == "  x"


@pytest.mark.skipif(not execute.can_execute(), reason="limits are POSIX's")
def test_execute_is_not_deceived() -> None:
    assert execute.passes("assert 1 + 1 == 2")
    assert not execute.passes("assert 1 + 1 == 3")
    assert not execute.passes("import os; os._exit(0)")


def test_the_same_bursts_for_the_same_hole() -> None:
    class Side:
        process = psutil.Process()

        def __init__(self) -> None:
            self.typed: list[str] = []

        def open(self, hole: holes.Hole) -> None: ...

        def type(self, text: str) -> None:
            self.typed.append(text)

        def ask(self) -> Answer:
            return Answer("", 1)

        def leave(self) -> None: ...

    kruk, peer_side = Side(), Side()
    typing_latency.type_hole(kruk, HOLE, "1")
    typing_latency.type_hole(peer_side, HOLE, "1")
    assert kruk.typed == peer_side.typed
    assert "".join(kruk.typed) == HOLE.middle


def sample(run: int, part: str, side: str, **values: list[float]) -> everyday.Sample:
    return everyday.Sample(run, part, side, "h", values)


def test_everyday_compares_what_is_of_the_same_run_and_side() -> None:
    rows = everyday.summary(
        [
            sample(1, "alone", "Kruk", warm_ms=[100, 300, 200], tokens=[1, 1, 9], rss_mib=[600]),
            sample(1, "busy", "Kruk", warm_ms=[400]),
            sample(2, "alone", "Kruk", warm_ms=[100], tokens=[3], rss_mib=[700]),
            sample(2, "busy", "Kruk", warm_ms=[400]),
            sample(1, "alone", "peer", warm_ms=[1000], tokens=[200], rss_mib=[1200]),
            sample(1, "busy", "peer", warm_ms=[5000]),
        ]
    )
    by_title = {row.title: row for row in rows}
    busy = by_title["busy ÷ alone"]
    assert (busy.kruk, busy.kruk_interval) == (3, (2, 4))
    assert (busy.peer, busy.peer_interval, busy.ratio) == (5, None, 0.4)
    assert by_title["prompt tokens, p50"].kruk == 2
    assert by_title["resident memory"].ratio == 0.5
    assert "restart ÷ cold" not in by_title


def test_everyday_acceptance() -> None:
    rows = everyday.summary(
        [
            sample(1, "accept", "Kruk", not_waited=[1], next_ms=[5]),
            sample(1, "accept", "Kruk", not_waited=[1], next_ms=[7]),
            sample(1, "accept", "Kruk", not_waited=[0], next_ms=[300]),
            sample(1, "accept", "Kruk", not_waited=[1], next_ms=[6]),
        ]
    )
    by_title = {row.title: row for row in rows}
    assert by_title["accepted, not waited"].kruk == 0.75
    assert by_title["next after accepting, p50"].kruk == 6.5


def test_only_what_was_unanswered_counts_as_cancelled() -> None:
    class Side:
        def __init__(self, was_unanswered: bool) -> None:
            self.was_unanswered = was_unanswered
            self.opened: list[str] = []

        def open(self, hole: holes.Hole) -> None:
            self.opened.append(hole.prefix)

        def start_asking(self) -> None: ...

        def cancel(self) -> bool:
            return self.was_unanswered

        def ask(self) -> Answer:
            return Answer("x", 90, until_engine_ms=4.0)

        def leave(self) -> None: ...

    late, early = Side(False), Side(True)
    assert everyday.cancel_once(late, HOLE, 1, 0) is None
    assert everyday.cancel_once(early, HOLE, 1, 0) == 4
    everyday.cancel_once(early, HOLE, 2, 0)
    assert len(set(early.opened)) == 3  # the hole, and a new small document each time


def test_two_sides_type_until_both_are_done() -> None:
    slow_is_done = False
    n_of_fast = 0

    def type_it(side: str, hole: holes.Hole) -> typing_latency.Typed:
        nonlocal slow_is_done, n_of_fast
        if side == "slow":
            while n_of_fast < 3:  # one more than there are holes: it goes on
                time.sleep(0.001)
            slow_is_done = True
        else:
            n_of_fast += 1
        return typed(1)

    found = everyday.type_at_once(["slow", "fast"], [HOLE, HOLE], type_it)
    assert [len(one) for one in found] == [2, 2]
    assert slow_is_done


def test_an_error_on_one_side_ends_both() -> None:
    def type_it(side: str, hole: holes.Hole) -> typing_latency.Typed:
        if side == "bad":
            raise KrukError("gone")
        return typed(1)

    with pytest.raises(KrukError, match="gone"):
        everyday.type_at_once(["good", "bad"], [HOLE], type_it)


def test_engine_summary() -> None:
    measured = engine.Measured()
    for ms in (1.0, 3.0, 2.0):
        measured.add("batch of 4", "ms", ms)
        measured.add("abort", "ms", ms)
    rows = {row.title: row for row in measured.rows()}
    assert (rows["batch of 4"].kruk, rows["batch of 4"].kruk_interval) == (2, (1, 3))
    assert rows["abort, p95"].kruk == pytest.approx(2.9)
    assert set(rows) <= {title for panel in engine.PANELS for title in panel.rows}


def test_an_abort_that_comes_too_late_does_not_count() -> None:
    class Model:
        is_aborted = False

        def abort(self) -> None:
            self.is_aborted = True

        def allow(self) -> None:
            self.is_aborted = False

        def evaluate(self, sequence: int, token_ids: list[int]) -> None:
            while token_ids and not self.is_aborted:
                time.sleep(0.001)
            if self.is_aborted:
                raise Aborted

    model = Model()
    assert engine.abort_once(model, [], 60) is None
    assert engine.abort_once(model, [1], 0.01) is not None
    assert not model.is_aborted


def result(rows: list[figures.Row]) -> dict[str, object]:
    panels = [figures.Panel("Waiting <here>", "less is better", ("cold, p50", "not measured")), NONE_OF_IT]
    return {
        "title": "Typing & more",
        "subtitle": "2 holes",
        "machine": figures.machine() | {"xllamacpp": "9.8.7"},
        "summary": [asdict(row) for row in rows],
        "panels": [asdict(panel) for panel in panels],
    }


NONE_OF_IT = figures.Panel("Nothing of it", "more is better", ("line exact",))
ROW = figures.Row("cold, p50", 1404.2, 9484, "ms", 0.148, (0.1, 0.2), (1300, 1500), (9000, 10_000))


def test_a_plot_holds_the_figures_and_where_they_are_from() -> None:
    picture = ET.fromstring(plots.draw(result([ROW])))
    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Typing & more", "Waiting <here>", "cold, p50", "1,404 ms", "9,484 ms", "0.15"} <= set(texts)
    assert "Nothing of it" not in texts
    foot = " ".join(text for text in texts[-2:] if text)
    assert all(figures.machine()[key] in foot for key in ("date", "kruk", "llama-cpp-python", "python", "system"))
    assert "9.8.7" in foot


def test_a_plots_bars_are_as_long_as_their_figures() -> None:
    picture = ET.fromstring(plots.draw(result([ROW])))
    width = {
        element.get("class"): float(element.get("width", 0))
        for element in picture.iter("{http://www.w3.org/2000/svg}rect")
    }
    assert width["kruk"] / width["peer"] == pytest.approx(1404.2 / 9484, rel=0.01)


def test_a_plot_is_redrawn_from_its_file(tmp_path: Path) -> None:
    source, output = tmp_path / "result.json", tmp_path / "plots" / "result.svg"
    figures.save(source, **result([ROW]))
    command = [sys.executable, str(ROOT / "benchmarks" / "plots.py"), str(source), "-o", str(output)]
    subprocess.run(command, check=True)
    assert output.read_text(encoding="utf-8") == plots.draw(json.loads(source.read_text(encoding="utf-8")))
    source.write_text("{}")
    wrong = subprocess.run(command, capture_output=True, text=True)
    assert wrong.returncode == 1
    assert "cannot be drawn" in wrong.stderr


def test_busy_processes_end() -> None:
    before = set(psutil.Process().children())
    with processes.busy_cores(2):
        busy = set(psutil.Process().children()) - before
        assert len(busy) == 2
    assert not any(it.is_running() for it in busy)


def test_waiting_ends_when_a_process_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    class Process:
        readings = iter([0, 1, 1, 2, 2, 2, 2])

        def cpu_times(self) -> tuple[float, float, float]:
            return next(self.readings), 0, 99

    monkeypatch.setattr(evaluation_editor, "IDLE_FOR_S", 0.01)
    process = Process()
    evaluation_editor.wait_until_idle(process)
    assert list(process.readings) == [2]


# -- cross-file holes ---------------------------------------------------------------------------------------------


@pytest.fixture
def packages(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as sources.py makes it, with one package that holes are reported on."""
    folder = tmp_path / "sources" / "python" / "shop"
    folder.mkdir(parents=True)
    body = "".join(
        f"    def weigh_parcel_{n}(self, limit: int) -> int:\n        return limit + {n}\n\n" for n in range(9)
    )
    (folder / "depot.py").write_text(f"class ParcelDepot:\n{body}\n\ndef open_depot() -> ParcelDepot: ...\n")
    use = "def weigh_{n}(depot: ParcelDepot) -> int:\n    n_{n} = depot.weigh_parcel_{n}(10)\n    return n_{n}\n\n\n"
    uses = "".join(use.format(n=n) for n in range(9))
    (folder / "main.py").write_text(f"from depot import ParcelDepot, open_depot\n\n\n{uses}")
    row = sources.Source("python", "shop", "pypi", "1", "MIT", "report")
    monkeypatch.setattr(sources, "sources", lambda: [row])
    return tmp_path / "sources"


def arguments(packages: Path, **more: object) -> argparse.Namespace:
    values = {"folder": packages, "languages": "python", "role": "report", "n": 4, "sides": ["shown"], "seed": "1"}
    results = packages / "results.jsonl"
    return argparse.Namespace(**values | {"results": results, "minutes": 9.0, "model": None} | more)


def test_what_is_shown_for_a_hole_is_measured_without_a_model(packages: Path) -> None:
    cross_file._measure(arguments(packages))
    cases = cross_file.read(packages / "results.jsonl")
    hard = [case for case in cases if case.kind == "hard"]
    assert len(hard) == 4 and all(case.symbol.startswith("weigh_parcel_") for case in hard)
    assert all(case.definition and case.exact is None for case in hard)


def test_what_is_in_the_results_is_not_asked_again(packages: Path) -> None:
    cross_file._measure(arguments(packages, n=2))
    before = cross_file.read(packages / "results.jsonl")
    cross_file._measure(arguments(packages, n=3))
    after = cross_file.read(packages / "results.jsonl")
    assert after[: len(before)] == before and len({case.place for case in after}) == len(after) > len(before)
    cross_file._measure(arguments(packages, minutes=0.0, n=4))
    assert cross_file.read(packages / "results.jsonl") == after


def test_the_oracle_shows_the_lines_around_the_definition(packages: Path, tmp_path: Path) -> None:
    (package, *_rest), holes_found = cross_file._cut(arguments(packages), "python", tmp_path / "work")
    hole = next(hole for of, hole in holes_found if hole.kind == "hard")
    (piece,) = cross_file._oracle(hole, package).pieces
    assert piece.path == "depot.py" and hole.symbol in piece.text
    assert len(piece.text.split("\n")) <= cross_file.ORACLE_LINES
    assert [path for path, _text in cross_file._open_files(hole, package)] == ["depot.py"]
    package.index.stop()


def test_sides_are_compared_on_the_holes_that_both_were_asked() -> None:
    def case(hole: str, side: str, exact: bool) -> cross_file.Case:
        return cross_file.Case("python", "shop", hole, "hard", "x", side, exact=exact, similarity=1.0)

    cases = [case("a", "alone", True), case("a", "Kruk", True), case("b", "Kruk", True), case("b", "oracle", True)]
    assert list(cross_file._ratios(cases)) == [
        "Kruk ÷ alone: 1 ÷ 1 = 1.00 (1 holes)",
        "Kruk ÷ oracle: 1 ÷ 1 = 1.00 (1 holes)",
    ]


def test_a_hole_is_typed_until_nothing_of_it_is_left():
    """Each burst is asked for, unless it is what is on screen."""
    typed, arguments = [], SimpleNamespace(pause=0, seed="1")

    class Client:
        def open(self, hole):
            self.left = hole.middle

        def type(self, burst):
            typed.append(burst)
            self.left = self.left.removeprefix(burst)

        def ask(self):
            return Answer(self.left[:4], 10.0, waited=True)

        def leave(self):
            assert not self.left

    hole = holes.Hole("h", "h.py", "python", "", "return a + b", "\n")
    answers = list(team._type(Client(), hole, arguments))
    assert "".join(typed) == hole.middle and 1 < len(answers) <= len(typed) + 1
    done = team.Round(2, 4.0, [answers[0].ms], [it.ms for it in answers[1:]])
    assert {title: value for title, value, _ in done.figures()}["answers a second, all clients"] == len(answers) / 4

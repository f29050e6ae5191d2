"""The parts of benchmarks/ that need neither a model nor a server."""

from __future__ import annotations

import io
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))

import editor  # noqa: E402
import execute  # noqa: E402
import figures  # noqa: E402
import fill_in  # noqa: E402
import holes  # noqa: E402
import peer  # noqa: E402
import tasks  # noqa: E402
import typing_latency  # noqa: E402
from answers import Answer  # noqa: E402

from lsp_server.errors import KrukError  # noqa: E402

SIZES = (1, 2, 3)


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
    assert holes.cut_lines("a\n\tb\n c\nd", 1, 2) == ("a\n\t", "b\n c", "\nd")


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
    it = typing_latency.type_hole(side, holes.Hole("h", "h.py", "python", "", "total = 1", "\n"), random.Random(1))
    assert (side.asked, it.warm, it.n_through) == (1, [], it.n_bursts)
    assert it.n_exact == 0


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
    assert editor.read_trace("x", 2.0, trace) == Answer("x", 2.0, 0, 1.5, None)


def test_trace_without_model_and_debounce() -> None:
    rooms = [{"room": "debounce", "ms": 20}, {"room": "model", "ms": 70, "evaluatedTokens": 3}]
    answer = editor.read_trace("", 101.0, {"totalMs": 100, "reason": "why", "rooms": rooms})
    assert answer == Answer("", 101.0, 3, 10, "why")


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

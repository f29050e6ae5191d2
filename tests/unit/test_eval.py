"""Cutting holes, judging, comparing and reporting: what `kruk eval` does without a model."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lsp_server.errors import KrukError
from lsp_server.evaluation import report
from lsp_server.evaluation.figures import bootstrap, wilson
from lsp_server.evaluation.holes import Hole, cut_holes, n_per_kind
from lsp_server.evaluation.journal import Journal
from lsp_server.evaluation.project import Project
from lsp_server.evaluation.run import Case, Configuration, Measured
from lsp_server.evaluation.score import Score, score
from lsp_server.evaluation.summary import ALL, compare, recommend, rows

SHOP = '''"""A shop."""

from till.basket import Basket


def total_price(basket: Basket) -> int:
    """Sum of all."""
    total = 0
    for item in basket.items:
        total += item.price
    return total


def close_shop() -> str:
    basket = Basket([])  # nobody calls empty_basket here
    basket.empty_basket()
    message = "closed for today"
    return message
'''
BASKET = '''"""A basket."""


class Basket:
    """What somebody wants."""

    def __init__(self, items):
        self.items = list(items)
        self.n_taken = len(self.items)

    def empty_basket(self):
        """Put all of it back."""
        self.items.clear()
        self.n_taken = 0

    def cheapest_item(self):
        if not self.items:
            return None
        return min(self.items, key=lambda item: item.price)
'''


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "till").mkdir(parents=True)
    (folder / "till" / "shop.py").write_text(SHOP)
    (folder / "till" / "basket.py").write_bytes(BASKET.replace("\n", "\r\n").encode())
    return folder


def holes_of(folder: Path, root: Path, n: int = 6, seed: str = "1") -> tuple[Project, list[Hole]]:
    project = Project(folder, root)
    sources, symbols = project.sources(set(), seed, lambda *_: None)
    return project, cut_holes(sources, symbols, n, seed)


def test_a_hole_and_its_middle_are_the_file(shop: Path, tmp_path: Path) -> None:
    _project, holes = holes_of(shop, tmp_path / "copy")
    texts = {"till/shop.py": SHOP, "till/basket.py": BASKET}
    assert {hole.kind for hole in holes} >= {"rest", "line", "block", "cross-file"}
    for hole in holes:
        assert hole.prefix + hole.middle + hole.suffix == texts[hole.file]
        assert not hole.middle.startswith(("# nobody", "nobody"))
        assert '"""' not in hole.middle.partition("\n")[0]
        starts_line = not hole.prefix.rpartition("\n")[2].strip()
        assert starts_line is (hole.kind != "rest") or hole.kind in ("cross-file", "hard")
        assert ("\n" in hole.middle) is (hole.kind == "block")


def test_the_seed_decides(shop: Path, tmp_path: Path) -> None:
    assert holes_of(shop, tmp_path / "a")[1] == holes_of(shop, tmp_path / "b")[1]
    assert holes_of(shop, tmp_path / "c", n=2)[1] != holes_of(shop, tmp_path / "d", n=2, seed="2")[1]


def test_cross_file_holes_use_what_only_the_other_file_defines(shop: Path, tmp_path: Path) -> None:
    _project, holes = holes_of(shop, tmp_path / "copy")
    crossing = {hole.symbol for hole in holes if hole.kind == "cross-file"}
    assert crossing == {"Basket", "empty_basket"}  # a comment names the second one too
    assert all(hole.symbol in hole.middle for hole in holes if hole.symbol)
    (shop / "till" / "shop.py").write_text(SHOP.replace("calls empty_basket", "calls it"))
    _project, holes = holes_of(shop, tmp_path / "again")
    assert {hole.symbol for hole in holes if hole.kind == "hard"} == {"empty_basket"}


def test_a_name_that_is_anybodys_crosses_no_file(shop: Path, tmp_path: Path) -> None:
    (shop / "till" / "other.py").write_text(SHOP.replace("empty_basket", "clear").replace("total_price", "price"))
    _project, holes = holes_of(shop, tmp_path / "copy", n=20)
    assert {hole.symbol for hole in holes if hole.file == "till/other.py"} <= {"", "Basket"}


def test_what_git_ignores_is_secret_or_twice_there_is_left_out(shop: Path, tmp_path: Path) -> None:
    (shop / ".gitignore").write_text("built/\n")
    (shop / "built").mkdir()
    (shop / "built" / "shop.py").write_text(SHOP)
    (shop / "node_modules").mkdir()
    (shop / "node_modules" / "a.js").write_text("function a() {\n  return 1\n}\n" * 40)
    (shop / ".env").write_text("TOKEN=1\n")
    (shop / "picture.py").write_bytes(b"\0\1\2" * 400)
    (shop / "link.py").symlink_to(shop / "till" / "shop.py")
    (shop / "twin.py").write_text(BASKET)
    project, holes = holes_of(shop, tmp_path / "copy")
    assert set(project.files) == {".gitignore", "till/shop.py", "till/basket.py", "twin.py"}
    assert {hole.file for hole in holes} == {"till/shop.py"}


def test_the_hole_stands_in_the_copy_only_while_it_is_asked(shop: Path, tmp_path: Path) -> None:
    project, holes = holes_of(shop, tmp_path / "copy")
    hole = next(hole for hole in holes if hole.file == "till/basket.py")
    with pytest.raises(KeyboardInterrupt), project.masked(hole) as path:
        assert path.read_bytes().decode() == hole.prefix + hole.suffix
        raise KeyboardInterrupt
    assert path.read_bytes() == (shop / "till" / "basket.py").read_bytes() == BASKET.replace("\n", "\r\n").encode()


@pytest.mark.parametrize("wanted", [{"go"}, set()])
def test_no_sources(tmp_path: Path, wanted: set[str]) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "notes.txt").write_text("notes\n" * 400)
    with pytest.raises(KrukError, match="no source files"):
        Project(folder, tmp_path / "copy").sources(wanted, "1", lambda *_: None)
    with pytest.raises(KrukError, match="does not exist"):
        Project(tmp_path / "gone", tmp_path / "copy2")


def test_repetition_of_what_stands_behind_the_hole() -> None:
    hole = Hole("h", "a.py", "python", "    ", "first = 1", "\n    second = 2\n")
    assert score(hole, "first = 1\n    second = 2").repeats
    assert score(hole, "second = 2").repeats
    assert not score(hole, "third = 3").repeats
    rest = Hole("h", "a.py", "python", "call(", "a", ", second)\n")
    assert score(rest, "a, second)").repeats
    assert not score(rest, "a").repeats
    true = Hole("h", "a.py", "python", "    ", "again()", "\n    again()\n")
    assert not score(true, "again()").repeats


def test_score() -> None:
    line = Hole("h", "a.py", "python", "def f(a):\n    ", "return (a)", "\n")
    assert score(line, "return (a)\nb = 1") == Score(True, 1.0, True)
    assert score(line, "return (a").parses is False
    assert score(line, "return (a)\n  b = 1)").parses is False  # all of what is shown counts here
    assert score(line, "") == Score(False, 0.0, None)
    block = Hole("h", "a.py", "python", "def f(a):\n    ", "b = a\n    return b", "\n")
    partly = score(block, "b = a\n    return a")
    assert partly.exact
    assert 0.8 < partly.similarity < 1


def test_wilson_is_right_at_the_ends() -> None:
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson(0, 0) is None
    assert bootstrap([1.0], "1") is None


def measured(**figures: tuple[list[bool], float]) -> Measured:
    """Holes of line kind; by configuration which of them are exact, and the time of each."""
    n = max(len(exact) for exact, _ms in figures.values())
    holes = [
        Hole(f"secret.py:{i}", "secret.py", "python", "p", "secret_middle", "s", "line", "Basket") for i in range(n)
    ]
    cases = {
        name: [Case(i, "secret_text", ms + i, None, Score(is_exact, 0.5, True)) for i, is_exact in enumerate(exact)]
        for name, (exact, ms) in figures.items()
    }
    return Measured(holes, cases, dict.fromkeys(cases, 600.0))


def test_comparison_is_on_the_same_holes() -> None:
    compared = compare(measured(small=([True, False, False, True], 100), large=([True, True], 300)), "1")
    assert [it.n for it in compared] == [2, 2]
    assert [it.exact for it in compared] == [0.5, 1]
    assert compared[1].exact_more.value == 0.5
    assert compared[1].ms_ratio.value == pytest.approx(3, rel=0.02)
    assert all(it.is_front for it in compared)
    assert compare(measured(one=([True], 1), none=([], 1)), "1") == []


def test_who_is_worse_and_slower_is_not_on_the_front() -> None:
    compared = compare(measured(good=([True] * 4, 100), bad=([False] * 4, 200), even=([True] * 4, 100)), "1")
    assert [it.is_front for it in compared] == [True, False, True]


def test_who_takes_less_memory_is_on_the_front_and_not_recommended_for_it() -> None:
    those = measured(good=([True] * 4, 100), lean=([True] * 4, 120), bad=([False] * 4, 130))
    those.memory_mib |= {"good": 900.0, "lean": 500.0, "bad": 500.0}
    assert [it.is_front for it in compare(those, "1")] == [True, True, False]
    assert recommend(those, "1").startswith("Use `good`")


def test_recommendation() -> None:
    better = recommend(measured(small=([False] * 40, 400), large=([True] * 40, 900)), "1")
    assert better.startswith("Use `large` for completion on this machine: it gets 100 % of the first lines right (91")
    assert "+100 points of first lines (+100 to +100) above `small`, for 2.2 times the wait" in better
    best = recommend(measured(small=([True] * 8, 400), large=([False] * 8, 900)), "1")
    assert best.startswith("Use `small`")
    assert "no other is better or faster" in best
    assert "smaller model" in recommend(measured(slow=([True], 5000)), "1")
    assert "Nothing" in recommend(Measured([]), "1")


def test_a_difference_that_may_be_chance_is_said_to_be_none() -> None:
    nearly = [True] * 21 + [False] * 19
    unclear = recommend(measured(small=([True] * 20 + [False] * 20, 400), large=(nearly, 900)), "1")
    assert unclear.startswith("Use `small`")
    assert "40 holes do not show that `large` is better, +2 points" in unclear
    few = recommend(measured(small=([False] * 5, 400), large=([True] * 5, 900)), "1")
    assert few.startswith("Use `small`")
    half = [True] * 30 + [False] * 10
    three = measured(quick=([False] * 40, 300), middle=(half, 400), large=([True] * 31 + [False] * 9, 2000))
    assert recommend(three, "1").startswith("Use `middle`")
    assert "above `quick`" in recommend(three, "1")
    noisy = measured(large=(half, 400), small=(half, 400), slow=(half, 800))
    for i, case in enumerate(noisy.cases["small"]):  # now faster, now slower: 1 % slower at the median
        noisy.cases["small"][i] = dataclasses.replace(case, ms=case.ms * (0.8 if i % 2 else 1.22))
    noisy.memory_mib |= {"small": 400.0, "slow": 300.0}
    told = recommend(noisy, "1")
    assert told.startswith("Use `small`")
    assert "`large` is better" in told or "`large` and `slow` are as good as far as 40 holes show" in told


def test_rows_know_languages_only_when_there_are_several() -> None:
    one = measured(a=([True, False], 100))
    assert {row.language for row in rows(one, "1")} == {ALL}
    one.holes[1] = Hole("h", "b.go", "go", "", "x", "", "block")
    found = {(row.kind, row.language): row.n for row in rows(one, "1")}
    assert found[ALL, "go"] == found["line", "python"] == found["block", ALL] == 1
    assert ("line", "go") not in found


def test_what_is_shared_holds_no_code_unless_it_is_asked_for() -> None:
    those = measured(a=([True, False], 100), b=([True, True], 200))
    configurations = [Configuration(name, Path("/home/somebody/m.gguf"), {}) for name in "ab"]

    def shared(with_code: bool) -> list[str]:
        values = report.as_dict(those, configurations, "1", with_code)
        return [report.markdown(those, configurations, "1", "a.svg", with_code), json.dumps(values)]

    for text in [*shared(False), report.picture(those, "1")]:
        assert "secret" not in text
        assert "Basket" not in text
        assert "somebody" not in text
    for text in shared(True):
        assert {"secret.py:0", "secret_middle", "secret_text"} <= {
            word for word in ("secret.py:0", "secret_middle", "secret_text") if word in text
        }
    assert n_per_kind(those.holes)["line"] == 2


def test_the_picture_names_who_is_compared() -> None:
    picture = ET.fromstring(report.picture(measured(small=([False] * 4, 100), large=([True] * 4, 200)), "1"))
    texts = {element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert {"small ★", "large ★", "whole line", "First line exact", "Memory", "600 MiB"} <= texts
    widths = [
        float(element.get("width", 0))
        for element in picture.iter("{http://www.w3.org/2000/svg}rect")
        if element.get("class") == "s1"
    ]
    assert len(widths) > 4


def test_the_picture_shows_quality_against_time_against_memory() -> None:
    those = measured(small=([True] * 2 + [False] * 2, 100), large=([True] * 4, 400), bad=([False] * 4, 500))
    those.memory_mib |= {"small": 400.0, "large": 1600.0, "bad": 1600.0}
    picture = ET.fromstring(report.picture(those, "1"))
    spots = {
        element.get("class"): [float(element.get(name, 0)) for name in ("cx", "cy", "r")]
        for element in picture.iter("{http://www.w3.org/2000/svg}circle")
    }
    small, large, bad = spots["s0"], spots["s1"], spots["s2"]
    assert small[0] < large[0] < bad[0]
    assert large[1] < small[1] < bad[1]  # up is less in a picture
    assert (2 * small[2], large[2]) == (bad[2], bad[2])
    stars = [float(element.get("x", 0)) for element in picture.iter() if element.get("class") == "star"]
    assert sorted(stars) == [small[0], large[0]]
    alone = ET.fromstring(report.picture(measured(one=([True], 1)), "1"))
    assert not list(alone.iter("{http://www.w3.org/2000/svg}circle"))


def test_a_journal_is_taken_up_where_it_ends(tmp_path: Path) -> None:
    those, path = measured(a=([True, False, True], 100)), tmp_path / "run.jsonl"
    a, b = (Configuration(name, Path(f"/m/{name}.gguf"), {"context.enabled": name == "a"}) for name in "ab")
    with contextlib.closing(Journal(path, those.holes, 0)) as journal:
        assert journal.take_up([a, b], Measured(those.holes)) == 0
        for case in those.cases["a"]:
            journal.add(a, case, 500.0 + case.hole)
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size - 9)  # as if the power had failed
    again = Measured(those.holes)
    with contextlib.closing(Journal(path, those.holes, 0)) as journal:
        assert journal.take_up([a, b], again) == 2
        journal.add(b, those.cases["a"][2], 700.0)
    assert again.cases == {"a": those.cases["a"][:2], "b": []}
    assert again.memory_mib == {"a": 501.0}
    for holes, rest_s, n in ((those.holes, 0, 3), (those.holes[:2], 0, 0), (those.holes, 1, 0)):
        with contextlib.closing(Journal(path, holes, rest_s)) as journal:
            assert journal.take_up([a, b], Measured(holes)) == n
    assert path.stat().st_mode & 0o077 == 0 or sys.platform == "win32"


def test_a_models_own_adapters_and_those_of_a_setting_are_both_used() -> None:
    both = Configuration("a", Path("a.gguf"), {"adapters": ["y.gguf"]}, ("x.gguf@0.5",))
    assert both.options == {"model": "a.gguf", "adapters": ["x.gguf@0.5", "y.gguf"]}
    assert Configuration("a", Path("a.gguf"), {}).options == {"model": "a.gguf"}


def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    for text in ("mine\nmine too", "mine", '{"mine": 1}', '{"run": 1}\n'):
        path.write_text(text)
        with pytest.raises(KrukError, match="no journal"):
            Journal(path, [], 0)
        assert path.read_text() == text
    with pytest.raises(KrukError, match="cannot be used"):
        Journal(tmp_path, [], 0)

"""benchmarks/overhead.py: the files it makes, and that it measures the whole way of a request."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import overhead

from lsp_server.errors import KrukError

FUNCTION = "def scaled_{n}(number, rest):\n    total = number * {n} + rest\n    return [total, rest]\n\n\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in "abcd":
        text = "".join(FUNCTION.format(n=f"{name}{n}") for n in range(30))
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "windows.py").write_bytes(b"x = 1\r\n" * 500)
    (tmp_path / "small.go").write_text("package small\n")
    return tmp_path


def test_large_files_are_whole_files_in_the_order_of_the_seed(tree):
    (source,) = overhead.large_files(tree, [300], "1")
    assert (source.language, source.language_id) == ("python", "python")
    texts = [(tree / f"{name}.py").read_text().rstrip("\n") + "\n" for name in "abcd"]
    assert source.text.count("\n") >= 300
    assert source.text in {a + b + c for a in texts for b in texts for c in ["", *texts]}
    assert [source] == [*overhead.large_files(tree, [300], "1")]


def test_no_language_with_enough_lines_is_an_error(tree):
    with pytest.raises(KrukError, match="No language has 9,000 lines"):
        list(overhead.large_files(tree, [9_000], "1"))


def test_holes_are_whole_lines_with_something_in_them():
    text = "".join(FUNCTION.format(n=n) for n in range(60))
    for prefix, middle, suffix in overhead.holes_in(text, 8, random.Random("1")):
        assert prefix + middle + suffix == text
        assert middle.strip() and suffix.startswith("\n")


@pytest.mark.parametrize("crlf", [False, True])
async def test_typing_goes_through_every_room(tree, crlf):
    (source,) = overhead.large_files(tree, [300], "1")
    measured = overhead.Measured("python", 300)
    await overhead.type_in(source, 2, crlf, "1", measured)
    assert len(measured.arriving) == 2 and len(measured.typing) > 10
    requests = [*measured.arriving, *measured.typing]
    for room in ("trigger", "context", "prompt", "finish"):
        assert sum(request[room] for request in requests) > 0
    assert all(request["edit"] > 0 for request in measured.typing)
    n_rooms = len(overhead.ROOMS)
    assert all(request[overhead.OTHER] > -0.01 * n_rooms for request in requests)  # a trace rounds to 0.01 ms


async def test_what_is_typed_is_the_file(tree):
    (source,) = overhead.large_files(tree, [300], "1")
    hole = ("é = '𝄞'\n", "x = '𝄞é'\ny = 2", "\n")
    typist = overhead.Typist()
    try:
        await typist.arrive(source, hole, "", crlf=True)
        for burst in ("x = '𝄞", "é'\ny", " = 2"):
            await typist.type(burst)
    finally:
        await asyncio.to_thread(typist.close)
    assert typist.text == "".join(hole).replace("\n", "\r\n")


def test_rooms_of_a_trace():
    rooms = [{"room": "trigger", "ms": 1.0}, {"room": "model", "ms": 50.0}, {"room": "finish", "ms": 2.0}]
    spent = overhead.by_room({"rooms": rooms}, 0.5, 54.0)
    assert (spent["edit"], spent["trigger"], spent["finish"], spent["cache"]) == (0.5, 1.0, 2.0, 0.0)
    assert spent[overhead.TOTAL] == pytest.approx(4.5)
    assert spent[overhead.OTHER] == pytest.approx(1.0)

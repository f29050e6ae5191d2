"""Where code from a conversation goes."""

import pytest

from lsp_server.actions.changes import apply
from lsp_server.actions.put import put
from lsp_server.errors import KrukError
from lsp_server.syntax.languages import language_for
from lsp_server.text import Document
from tests.conftest import cut

TWO = (
    "import os\n\n\n@cache\ndef add(a, b):\n    return a - b\n\n\nclass Box:\n    def size(self):\n        return 0\n"
)


def after(drawn, code, language="python", selected=""):
    """The document with the code in it, and how many lines were left out."""
    text, at = cut(drawn)
    start = text.index(selected) if selected else at
    document = Document("file:///a", language, 1, text)
    found = put(document, language_for(language, None), start, start + len(selected), code)
    return apply(text, list(found.changes)), found.n_left_out


def test_a_definition_takes_the_place_of_the_one_of_its_name():
    text, left_out = after("├" + TWO, "def add(a, b):\n    return a + b\n\nprint(add(1, 2))")
    assert text == TWO.replace("a - b", "a + b")  # with its decorator
    assert left_out == 1


def test_a_method_may_come_without_its_class():
    assert after("├" + TWO, "def size(self):\n    return 1") == (TWO.replace("return 0", "return 1"), 0)


def test_new_definitions_follow_the_last_that_was_there():
    text, _ = after("├" + TWO, "def add(a, b):\n    return plus(a, b)\n\n\ndef plus(a, b):\n    return a + b")
    assert text == TWO.replace("a - b", "plus(a, b)\n\n\ndef plus(a, b):\n    return a + b")


def test_a_selection_gives_way_whole_and_as_deep():
    text, _ = after("├" + TWO, "x = 1\nreturn x", selected="return 0")
    assert text == TWO.replace("return 0", "x = 1\n        return x")


@pytest.mark.parametrize(
    "drawn, expected",
    [
        ("if x:\n    ├\n", "if x:\n    y = 1\n    z = 2\n"),
        ("if x:\n    a├ = 1\n", "if x:\n    a = 1\n    y = 1\n    z = 2\n"),
        ("├", "y = 1\nz = 2"),
        ("a = 1\r\n├\r\n", "a = 1\r\ny = 1\r\nz = 2\r\n"),
    ],
)
def test_other_code_goes_in_at_the_cursor(drawn, expected):
    assert after(drawn, "  y = 1\n  z = 2\n")[0] == expected


def test_what_is_not_clear_is_said():
    twice = "class A:\n    def f(self):\n        pass\n\n\nclass B:\n    def f(self):\n        ├pass\n"
    assert after(twice, "def f(self):\n    return 1")[0] == twice.replace("├pass", "return 1")
    with pytest.raises(KrukError, match="`f` is defined 2 times"):
        after("├" + twice.replace("├", ""), "def f(self):\n    return 1")
    with pytest.raises(KrukError, match="leaves out `size` of `Box`"):
        after("├" + TWO, "class Box:\n    def weight(self):\n        return 1")
    with pytest.raises(KrukError, match="no code"):
        after("├" + TWO, "\n \n")


def test_go():
    code = "package main\n\nfunc add(a, b int) int {\n\treturn a - b\n}\n"
    assert after("├" + code, "func add(a, b int) int {\n\treturn a + b\n}", "go")[0] == code.replace("a - b", "a + b")

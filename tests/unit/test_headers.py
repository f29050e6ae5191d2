"""The headers above the window: of the blocks around the cursor only, and as written."""

from __future__ import annotations

import pytest

from lsp_server.context.headers import MAX_HEADERS, SLICE_CHARS, enclosing_headers
from lsp_server.syntax.languages import language_for

PYTHON = language_for("python")


def headers(text: str, n_below: int, language: str = "python", cursor: str = "├") -> str:
    """The headers for the cursor, with a window that begins `n_below` lines below the text's start."""
    offset = text.index(cursor)
    text = text.replace(cursor, "")
    start = sum(len(line) + 1 for line in text.split("\n")[:n_below])
    return enclosing_headers(text, start, offset, language_for(language))


def test_class_and_function_with_a_signature_of_many_lines_and_docstrings():
    text = '''import os


class Foo(Base):
    """What it is.

    And more.
    """

    def other(self):
        pass

    @wrapped
    async def long(
        self,
        a: int,
    ) -> None:
        """Does it."""
        for x in a:
            if x:
                y = 1
            ├
'''
    expected = '''class Foo(Base):
    """What it is."""
    async def long(
        self,
        a: int,
    ) -> None:
        """Does it."""
'''
    assert headers(text, 18) == expected
    assert headers(text, 19) == expected + "        for x in a:\n"
    assert headers(text, 3) == headers(text, 0) == ""


def test_what_is_in_the_window_is_not_repeated():
    text = "def a():\n    if b:\n        if c:\n            ├d = 1\n"
    assert headers(text, 1) == "def a():\n"
    assert headers(text, 2) == "def a():\n    if b:\n"


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        (
            "cpp",
            "class Foo : Base {\npublic:\n    int run(int x,\n            int y)\n    {\n        go();\n        ├",
            "class Foo : Base {\n    int run(int x,\n            int y)\n    {\n",
        ),
        ("c", "int main(void)\n{\n    go();\n    ├", "int main(void)\n{\n"),
        (
            "javascript",
            "class A {\n  b({c}) {\n    switch (c) {\n      case 1:\n        d();\n        ├",
            "class A {\n  b({c}) {\n    switch (c) {\n",
        ),
        (
            "go",
            "func (s *S) F() {\n\tif x {\n\t\ty()\n\t} else {\n\t\t├",
            "func (s *S) F() {\n\tif x {\n\t\ty()\n\t} else {\n",
        ),
        (
            "rust",
            "impl A {\n    /// Does.\n    fn b(&self) -> C {\n        d();\n        ├",
            "impl A {\n    fn b(&self) -> C {\n",
        ),
    ],
)
def test_braces(language, text, expected):
    assert headers(text, text.count("\n"), language) == expected


def test_what_holds_no_block_is_no_header():
    text = "x = [\n    1,\n]\ny = call(\n    2,\n    ├"
    assert headers(text, 5) == ""
    text = "def a():\n    b()\n# at the margin\n    c()\n    ├"
    assert headers(text, 4) == "def a():\n"


def test_a_long_body_is_looked_through_and_an_endless_one_given_up():
    body = "        call()\n" * (3 * SLICE_CHARS // 15)
    assert headers(f"class A:\n    def b(self):\n{body}        ├", 20) == "class A:\n    def b(self):\n"
    assert headers(f"class A:\n    def b(self):\n{body * 20}        ├", 20) == ""


def test_deep_nesting_and_windows_line_ends():
    text = "".join(f"{'  ' * i}if a{i}:\r\n" for i in range(30)) + "  " * 30 + "├"
    found = headers(text, 30)
    assert found.count("\n") == MAX_HEADERS and found.endswith("if a29:\n") and "\r" not in found


@pytest.mark.parametrize("text", ["├", "\n├\n", "    ├", "x├", ")\n}\n    ├", "  )\n  ├", "{\n  ├"])
def test_odd_texts(text):
    for start in range(4):
        assert isinstance(headers(text, start), str)
    assert enclosing_headers("a\n  b", 3, 5, None) == ""

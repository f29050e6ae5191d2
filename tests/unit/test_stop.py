"""When the model is stopped: each case is a cursor, the text as the model would write it on, and where it ends."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.completion.statement import MAX_STATEMENT_LINES
from lsp_server.completion.stop import MAX_LINES, stop_rule
from lsp_server.completion.trigger import decide
from lsp_server.syntax.languages import languages

ROWS = {row.name: row for row in languages()}


def rule_at(drawn: str, name: str | None, multiline="auto"):
    prefix, suffix = drawn.split("┃")
    language = ROWS[name] if name else None
    shape = decide(prefix + suffix, len(prefix), language, multiline)
    return stop_rule(shape, prefix, suffix, language)


def read_until_stop(drawn: str, name: str | None, written: str, size: int, multiline="auto") -> tuple[str, str]:
    """Feed pieces of `size` characters; what had come when it stopped, and why."""
    rule = rule_at(drawn, name, multiline)
    read = ""
    for i in range(0, len(written), size):
        read += written[i : i + size]
        if rule.feed(written[i : i + size]):
            return read, rule.reason
    return read, ""


def check(drawn: str, name: str | None, written: str, reason: str, multiline="auto"):
    """`written` has "┃" where one character at a time stops; larger pieces stop in the piece that holds it."""
    expected, rest = written.split("┃")
    assert read_until_stop(drawn, name, expected + rest, 1, multiline) == (expected, reason)
    for size in (2, 5, 1000):
        read, why = read_until_stop(drawn, name, expected + rest, size, multiline)
        assert why == reason and len(expected) <= len(read) < len(expected) + size


@pytest.mark.parametrize(
    ("drawn", "name", "written"),
    [
        ("┃", None, "a\n┃b"),
        ("foo(┃)", "javascript", "a, b)\n┃"),
        ("# a┃", "python", " (b\n┃c"),
    ],
)
def test_a_line_ends_with_its_line(drawn, name, written):
    check(drawn, name, written, "the line is complete")


@pytest.mark.parametrize(
    ("drawn", "name", "written"),
    [
        ("x = ┃\n", "python", "1\n┃y = 2\n"),
        ("x = 1┃\n", "python", "\n\ny = 2\n┃z\n"),
        ("    ┃\n", "python", "  \n  y\n┃"),
        ("x = ┃\n", "python", "f(\n    a,\n)\n┃y = 2\n"),
        ("x = ┃\ny = 2\n", "python", "{\n    'a': [\n        1,\n    ],\n}\n┃y = 2\n"),
        ("x = ┃\n    a,\n)\n", "python", "f(\n┃"),  # what it opens is closed below
        ("if a:\n    b()\n    ┃\n", "python", "for c in b:\n        c()\n\n        d()\n    e()\n┃"),
        ("┃\n    b()\n", "python", "if a:\n┃    c()\n"),  # its body is there
        ("a()\n┃\n", "python", "try:\n    b()\nexcept C:\n    d()\ne()\n┃"),
        ("x = ┃\n", "python", '"""a\nb(\n"""\n┃c'),
        ("f();\n┃\n", "javascript", "if (a) {\n  b();\n}\n┃c();\n"),
        ("f();\n┃\n", "javascript", "if (a) {\n  b();\n} else {\n  c();\n}\n┃d();\n"),
        ("const x = ┃\n", "javascript", "a.map((b) => {\n  return b;\n});\n┃c\n"),
        ("package a\n\nfunc F() {\n\ta()\n\t┃\n}\n", "go", "if a {\n\t\tb()\n\t}\n┃\tc()\n"),
        ("a=1\n┃\n", "bash", "if a; then\n  b\nfi\n┃c\n"),
    ],
)
def test_a_statement_ends_with_its_line_or_with_what_that_opens(drawn, name, written):
    check(drawn, name, written, "the statement is complete")


@pytest.mark.parametrize(
    ("drawn", "written"),
    [
        ("def f(a):\n    ┃\n", "x = 1\n    return x\n\ndef g():\n┃    pass"),
        ("def f(a):┃\n", "\n    return 1\nx = 2\n┃"),
        ("def f(a):\n┃\n", "    return a\nx\n┃"),
        ("class A:\n    def f(self):\n        ┃\n", "return 1\n    def g(self):\n┃        pass"),
        ("def f┃\n", "(a, b):\n    return a\n\nf()\n┃"),
        ("def f(┃\n", "\n    a,\n    b,\n):\n    return a\nx\n┃"),
        ("def f():\n    ┃\n", 's = """\nx\n"""\n    return s\ny\n┃'),
        ("def f():\n    ┃\n", "x = [\n1,\n]\n    return x\n# next\n┃"),
        ("def f():\n\t┃\n", "return 1\ny\n┃"),
    ],
)
def test_a_dedent_ends_a_python_body(drawn, written):
    check(drawn, "python", written, "a line outside the body")


@pytest.mark.parametrize(
    ("drawn", "name", "written"),
    [
        ("function f() {┃", "javascript", "\n  return 1;\n}┃\n\nfunction g() {"),
        ("function f() {\n  ┃\n}\n", "javascript", "return { a: 1 };\n}┃\n"),
        ("function f() {\n  ┃\n}\n", "javascript", "return '}' + `}`; // }\n}┃\n"),
        ("function f┃\n", "javascript", "(a = {}) {\n  return a;\n}┃\nf();\n"),
        ("func F() {\n\t┃\n}\n", "go", "if a {\n\t\tb()\n\t}\n\treturn\n}┃\n"),
        ("fn f() {┃}\n", "rust", "\n    let c = '}';\n    c\n}┃\n"),
        ("class A {\n    int f() {\n        ┃\n    }\n}\n", "java", "return 1; }┃\n"),
        ("int f(void)\n{\n    ┃\n}\n", "c", "/* } */ return 1;\n}┃\n"),
        ("a {┃\n", None, "\n  b {\n  }\n}┃\n"),
    ],
)
def test_the_closing_brace_ends_a_body(drawn, name, written):
    check(drawn, name, written, "the brace that ends the body")


@pytest.mark.parametrize(
    ("drawn", "name", "written", "reason"),
    [
        ("def f():\n    ┃\nfoo(1)\n", "python", "a\n    b\nfoo(1)\n┃", "a line outside the body"),
        ("function f() {\n  ┃\n}\nfoo(1);\n", "javascript", "a;\nfoo(1);\nb", ""),
        ("x = ┃\nfoo(1)\n", "python", "1\nfoo(1)\n┃b", "the line below was repeated"),
        ("    x = ┃\n    foo(1)\n", "python", "1\n    foo(1)\n┃b", "the line below was repeated"),
        ("def f():\n    ┃\n", "python", "a\n    a\n    a\n┃    a\n", "a line was repeated over and over"),
        ("def f():\n    ┃\n", "python", "a\n    b\n    a\n    b\n", ""),
        ("def f():\n    ┃\n", "python", "a\n\n\n┃    b\n", "blank lines"),
        ("def f():\n    ┃\n", "python", "a\n\n    b\n\n    c\n", ""),
        ("def f():┃\n", "python", "\n    a\n", ""),
        ("x = 1┃\n", "python", "\n\n\n\n\n┃", "blank lines"),
        ("def f():┃\n", "python", "\n\n\n    a\n\n\n┃", "blank lines"),
    ],
)
def test_other_ends(drawn, name, written, reason):
    multiline = "always" if drawn.lstrip().startswith("x = ") and "\nfoo" in drawn.replace(" ", "") else "auto"
    if reason:
        check(drawn, name, written, reason, multiline)
    else:
        assert read_until_stop(drawn, name, written, 1, multiline) == (written, "")


def test_a_body_has_so_many_lines():
    written = "".join(f"    x{i} = {i}\n" for i in range(100))
    read, reason = read_until_stop("def f():\n┃\n", "python", written, 1)
    assert reason == "enough lines" and read.count("\n") == MAX_LINES


def test_a_statement_has_so_many_lines():
    read, reason = read_until_stop("x = ┃\n", "python", "[\n" + "    f(1),\n    f(2),\n" * 50, 1)
    assert reason == "enough lines" and read.count("\n") == MAX_STATEMENT_LINES


def test_once_stopped_it_stays_stopped():
    rule = rule_at("x = ┃\n", "python")
    assert not rule.feed("1")
    assert rule.feed("\n") and rule.feed("") and rule.feed("2")
    assert rule.reason == "the statement is complete"


def test_form_feeds_and_other_separators_are_not_line_ends():
    rule = rule_at("x = ┃\n", "python")
    assert not rule.feed("'a\x0cb\u2028c\x85d'")


@given(
    st.sampled_from(["def f():\n    ┃\n", "f(┃)\n", "int f() {┃}\n", "x = {┃", "# ┃"]),
    st.sampled_from([*ROWS, None]),
    st.text(st.sampled_from("ab {}()\"'\n:#/*🐢"), max_size=60),
    st.sampled_from(["auto", "always"]),
)
def test_pieces_do_not_matter(drawn, name, written, multiline):
    whole = rule_at(drawn, name, multiline)
    whole.feed(written)
    _read, reason = read_until_stop(drawn, name, written, 1, multiline)
    assert (whole.reason is None) == (reason == "")


def test_feeding_is_cheap():
    rule = rule_at("def f():\n    ┃\n", "python")
    started = time.process_time()
    for i in range(20_000):
        rule.feed("+ a" if i % 10 else "+ 'é'")
    assert time.process_time() - started < 0.5

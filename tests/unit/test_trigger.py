"""Line, statement or block: each case is a text with the cursor drawn into it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.completion.trigger import decide
from lsp_server.syntax.languages import Language, languages

ROWS = {row.name: row for row in languages()}
CURSOR = "┃"


def check(drawn: str, name: str | None, kind: str, multiline="auto"):
    text = drawn.replace(CURSOR, "", 1)
    language = ROWS[name] if name else None
    for newline in ("\n", "\r\n"):
        before = drawn[: drawn.index(CURSOR)].replace("\n", newline)
        shape = decide(text.replace("\n", newline), len(before), language, multiline)
        assert shape.kind in kind.split(" or "), shape.reason
        assert shape.reason
    return shape


PYTHON_BLOCKS = [
    "def f(a):┃\n",
    "def f(a):┃",
    "def f(a):\n    ┃\n",
    "def f(a):\n┃\n",
    "def f(a):\n    ┃\n\nx = 1\n",
    "def f(a):\n    ┃\n\n\ndef g():\n    pass\n",
    "class A:\n    def f(self):\n        ┃\n\n    def g(self):\n        pass\n",
    "class A:┃\n",
    "class A:\n    ┃\n",
    "if a:\n    ┃\nx = 1\n",
    "if a:\n    b()\nelse:\n    ┃\n",
    "for x in y:\n    while x:\n        ┃\n    z()\n",
    "with a as b:┃\n",
    "try:\n    ┃\nexcept E:\n    pass\n",
    "try:\n    ┃\n",
    "try:\n    a()\nexcept E:\n    ┃\n",
    "match a:\n    ┃\n",
    "match a:\n    case 1:\n        ┃\n",
    'def f(a):\n    """Doc."""\n    ┃\n',
    'def f(a):\n    """Doc.\n\n    More.\n    """\n    ┃\n\n\nx = 1\n',
    'def f(a):\n    """Doc."""\n┃\n',
    "def f(a):\n    # Add one.\n    ┃\n",
    "def f(\n    a,\n    b,\n) -> int:\n    ┃\n",
    "def f(a):  # why\n    ┃\n",
    "def f(ż):\n    '''🐢'''\n    ┃\n",
    "async def f():\n\t┃\n",
    "x = 1\n\n\ndef quick_sort┃\n",
    "def f(a, ┃\n",
    "class A(┃\n\n\nx = 1\n",
    "class A:\n    async def go┃\n\n    def stop(self):\n        pass\n",
]
PYTHON_NO_BLOCKS = [
    "┃",
    "\n┃\n",
    "x = 1\n\n┃\n",
    "def f(a):\n    ┃\n    return 1\n",
    "def f(a):\n  ┃\n  return 1\n",
    "def f(a):┃\n  return 1\n",
    "def f(a):┃\n    return 1\n",
    "def f(a):\n┃\n    return 1\n",
    "def f(a):\n    x = 1\n    ┃\n",
    "def f(a):\n    x = 1\n    ┃\n    return x\n",
    "def f(a):\n    return ┃\n",
    "def f(a):\n    x = ┃ + 1\n",
    "def f(┃):\n    pass\n",
    "def f(┃\n    pass\n",
    "def ┃\n",
    "x = {\n    'a':┃\n}\n",
    "x = {\n    'a':\n    ┃\n}\n",
    "x[1:┃\n",
    "f(lambda:┃\n",
    "# a:┃\n",
    "def f():\n    # a:┃\n",
    "x = 'a:┃'\n",
    '"""\nExample:\n    ┃\n"""\n',
    'def f():\n    """Args:\n        ┃\n    """\n',
    "def f():\n    pass\n\n┃\n",
    'class E(Exception):\n    """Doc."""\n\n┃\n',
    "import ┃\n",
    "foo.┃\n",
]
BRACE_BLOCKS = [
    ("javascript", "function f(a) {┃\n}\n"),
    ("javascript", "function f(a) {┃}\n"),
    ("javascript", "function f(a) {\n  ┃\n}\n"),
    ("javascript", "function f(a) {\n  // Add one.\n  ┃\n}\n"),
    ("javascript", "function f(a) {┃"),
    ("javascript", "function f(a) {\n  ┃\n\nfunction g() {\n  return 1;\n}\n"),
    ("javascript", "class A {\n  f() {\n    ┃\n  }\n\n  g() {}\n}\n"),
    ("javascript", "class A {\n  f() {\n    ┃\n\n  g() {}\n}\n"),
    ("javascript", "xs.map((x) => {┃})\n"),
    ("javascript", "xs.map((x) => {┃\n"),
    ("javascript", "if (a) {\n  b();\n} else {\n  ┃\n}\n"),
    ("javascript", "export async function load┃\n"),
    ("typescript", "interface A {\n  ┃\n}\n"),
    ("typescript", "export function f(a: number): string {┃\n"),
    ("typescript", "enum E {┃}\n"),
    ("tsx", "function App() {\n  ┃\n}\n"),
    ("go", "package a\n\nfunc F() {\n\t┃\n}\n"),
    ("go", "package a\n\nfunc F() {┃\n"),
    ("go", "package a\n\nfunc (s *S) Na┃\n"),
    ("go", "package a\n\ntype S struct {\n\t┃\n}\n"),
    ("go", "package a\n\nfunc F() {\n\tif err != nil {\n\t\t┃\n\t}\n\treturn\n}\n"),
    ("go", "package a\n\nfunc F() {\n\tswitch x {┃}\n}\n"),
    ("rust", "fn f<'a>(x: &'a str) -> u32 {\n    ┃\n}\n"),
    ("rust", "impl A {\n    pub fn f(&self) {┃\n}\n"),
    ("rust", "fn f() {\n    match x {\n        ┃\n    }\n}\n"),
    ("rust", "pub fn add(a┃\n"),
    ("java", "class A {\n    int f(int a) {\n        ┃\n    }\n}\n"),
    ("java", "class A {\n    A() {┃\n    }\n}\n"),
    ("java", "public class A {┃}\n"),
    ("c", "int f(void) {\n    ┃\n}\n"),
    ("c", "int f(void)\n{\n    ┃\n}\n"),
    ("c", "int f(void) {\n    while (1) {┃\n}\n"),
    ("cpp", "namespace a {\nclass A {\npublic:\n    int f() const {\n        ┃\n    }\n};\n}\n"),
    ("cpp", "auto f = [](int a) {┃};\n"),
]
BRACE_NO_BLOCKS = [
    ("javascript", "const x = {┃}\n"),
    ("javascript", "const x = {┃\n"),
    ("javascript", "function f() {\n  ┃\n  return 1;\n}\n"),
    ("javascript", "function f() {\n  g();\n  ┃\n}\n"),
    ("javascript", "const s = '{┃'\n"),
    ("javascript", "// {┃\n"),
    ("javascript", "f(`a {┃`)\n"),
    ("javascript", "f(`${┃}`)\n"),
    ("javascript", "foo(┃)\n"),
    ("javascript", "const a = ┃\n"),
    ("javascript", "function f┃() {\n}\n"),
    ("javascript", "function f(\n┃\n"),
    ("javascript", "function f┃\n{\n  return 1;\n}\n"),
    ("typescript", "let a: ┃\n"),
    ("go", "package a\n\nfunc F() {\n\treturn ┃\n}\n"),
    ("go", 'package a\n\nimport "┃"\n'),
    ("go", "package a\n\n┃\n"),
    ("rust", "fn f() {\n    let x = A { ┃ };\n}\n"),
    ("rust", "/// Adds {┃\nfn f() {}\n"),
    ("java", "class A {\n    int a;\n    ┃\n}\n"),
    ("c", "int a[] = {┃};\n"),
    ("c", "int f(void) {\n    int x = g(┃);\n}\n"),
    ("c", "/* {\n   ┃\n*/\n"),
    ("cpp", "class A {\npublic:\n    ┃\n    int a;\n};\n"),
]


@pytest.mark.parametrize("drawn", PYTHON_BLOCKS)
def test_python_block(drawn):
    assert check(drawn, "python", "block").ends_by == "dedent"


@pytest.mark.parametrize("drawn", PYTHON_NO_BLOCKS)
def test_python_no_block(drawn):
    check(drawn, "python", "line or statement")


@pytest.mark.parametrize(("name", "drawn"), BRACE_BLOCKS)
def test_brace_block(name, drawn):
    assert check(drawn, name, "block").ends_by == "brace"


@pytest.mark.parametrize(("name", "drawn"), BRACE_NO_BLOCKS)
def test_brace_no_block(name, drawn):
    check(drawn, name, "line or statement")


@pytest.mark.parametrize(
    ("name", "drawn", "kind"),
    [
        ("python", "x = ┃\n", "statement"),
        ("python", "f(┃)\n", "line"),
        ("python", "# see ┃\n", "line"),
        ("python", "x = 'see ┃\n", "line"),
        ("python", '"""\nsee ┃\n"""\n', "line"),
        ("javascript", "const x = {┃\n", "statement"),
        ("javascript", "const x = {┃}\n", "line"),
        ("javascript", "const s = `a ┃\n`\n", "line"),
        ("rust", "/// Adds ┃\nfn f() {}\n", "line"),
        ("c", "int f(void) {\n    g();\n    ┃\n}\n", "statement"),
    ],
)
def test_code_with_nothing_behind_it_on_its_line_may_go_on(name, drawn, kind):
    check(drawn, name, kind)


@pytest.mark.parametrize(
    ("drawn", "kind", "ends_by"),
    [
        ("hello ┃", "line", "dedent"),
        ("def f\n  ┃\nend\n", "line", "dedent"),
        ("server:\n  ┃\n", "block", "dedent"),
        ("server:┃\n", "block", "dedent"),
        ("server:\n  ┃\n  port: 1\n", "line", "dedent"),
        ("a {\n  ┃\n}\n", "block", "brace"),
        ("a {┃\n", "block", "brace"),
        ("a {\n  color: red;\n  ┃\n}\n", "line", "dedent"),
    ],
)
def test_unknown_language_is_judged_by_its_text(drawn, kind, ends_by):
    assert check(drawn, None, kind).ends_by == ends_by


@pytest.mark.parametrize(
    ("drawn", "name", "floor"),
    [
        ("def f():\n    ┃\n", "python", 1),
        ("def f():┃\n", "python", 1),
        ("class A:\n    def f(self):\n        ┃\n", "python", 5),
        ('class A:\n    def f(self):\n        """Doc."""\n        ┃\n', "python", 8),
        ("class A:\n    def f┃\n", "python", 5),
        ("if a:\n\tif b:\n\t\t┃\n", "python", 5),
    ],
)
def test_floor(drawn, name, floor):
    assert check(drawn, name, "block").floor == floor


@pytest.mark.parametrize("drawn", ["fo┃o", "┃foo", "x = ┃ż", "a.┃_b", "f(┃1)", "🐢┃ć"])
def test_skipped_in_a_word(drawn):
    assert check(drawn, "python", "line or statement").skip_reason == "the cursor is in a word"
    assert check(drawn, None, "line").skip_reason


@pytest.mark.parametrize("drawn", ["foo┃", "f(┃)", "┃", "a ┃= 1", "a┃.b", "'┃'", "x┃ # c", "f()┃;"])
def test_not_skipped(drawn):
    assert check(drawn, "python", "line or statement").skip_reason is None


def test_never_is_always_a_line():
    check("def f():\n    ┃\n", "python", "line", "never")


@pytest.mark.parametrize("drawn", ["def f():\n    ┃\n", "x = ┃1\n", "# a┃", "┃", "def f():\n    x┃\n    y\n"])
def test_always_is_always_a_block(drawn):
    check(drawn, "python", "block", "always")
    check(drawn, None, "block", "always")


@given(
    st.text(st.sampled_from("ab :{}()[]\"'#\n\r\t🐢\x00\ud800"), max_size=60),
    st.integers(0, 60),
    st.sampled_from([*ROWS.values(), None]),
    st.sampled_from(["auto", "always", "never"]),
)
def test_any_text_has_a_shape(text: str, offset: int, language: Language | None, multiline):
    shape = decide(text, min(offset, len(text)), language, multiline)
    assert shape.kind in ("line", "statement", "block") and shape.reason
    assert shape.kind == "line" or multiline != "never"


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_line_ends_make_no_difference_in_a_large_file(newline):
    unit = "class A:\n    def f(a):\n        return g(a, [1, 2])\n\n    def g(a):\n        # why\n\n"
    text = unit * 500
    for offset in range(10_000, 10_000 + len(unit)):
        before = text[:offset].replace("\n", newline)
        assert decide(text.replace("\n", newline), len(before), ROWS["python"]) == decide(
            text, offset, ROWS["python"]
        )


def test_a_large_file_costs_no_more_than_a_small_one():
    unit = 'def f(a):\n    """Doc."""\n    return g(a, [1, 2])\n\n\n'
    large = unit * 40_000 + "def g(a):\n    " + "\n\n\n" + unit * 40_000
    offset = len(unit) * 40_000 + len("def g(a):\n    ")
    started = time.process_time()
    assert decide(large, offset, ROWS["python"]).kind == "block"
    assert decide("x = [" + "1, " * 2_000_000 + "]", 3_000_000, ROWS["python"]).kind != "block"
    assert time.process_time() - started < 0.5

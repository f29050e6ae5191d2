"""What is shown of what the model wrote: prefix├written┤suffix, and what is left."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_server.completion.finish import finish
from lsp_server.completion.trigger import decide
from lsp_server.syntax.languages import languages

ROWS = {row.name: row for row in languages()}
CONTROL = ("<|fim_prefix|>", "<|fim_middle|>", "<|endoftext|>")


def finished(drawn: str, name: str | None, multiline="auto"):
    prefix, rest = drawn.split("├")
    raw, suffix = rest.split("┤")
    language = ROWS[name] if name else None
    shape = decide(prefix + suffix, len(prefix), language, multiline)
    return finish(raw, prefix, suffix, shape, language, CONTROL)


def check(drawn: str, name: str | None, text: str, reason: str | None = None, multiline="auto"):
    done = finished(drawn, name, multiline)
    assert (done.text, done.reason) == (text, reason)
    assert (done.reason is None) == bool(done.text)


cases = pytest.mark.parametrize


@cases(
    ("drawn", "name", "text"),
    [
        ("x = ├1┤\n", "python", "1"),
        ("x = ├1\ny = 2\n┤\n", "python", "1"),
        ("x = ├1  ┤\n", "python", "1"),
        ("x =├ 1┤\n", "python", " 1"),
        ("def f(├a, b):\n    return a┤):\n    pass\n", "python", "a, b"),
        ("if a:\n    b()\n    ├c()\n    d()┤\n", "python", "c()"),
        ("x = 1├\ny = 2\nz = 3┤\n", "python", "\ny = 2"),
        ("if a:\n    b()\n    ├\n    c()┤\n", "python", "c()"),
        ("x = a├ if b else c\n┤\n", "python", " if b else c"),
        ("if a:\n    b()├\n\n    c()\n    d()┤\n", "python", "\n\n    c()"),
        ("const a = ├1;\nconst b = 2;┤\n", "javascript", "1;"),
        ("let s = ├String::new();\n    let t┤\n", "rust", "String::new();"),
        ("x := ├1┤\n", "go", "1"),
        ("int x = ├f(a, b);┤\n", "java", "f(a, b);"),
        ("foo(├\n    a,┤\n", "python", "\n    a,"),
        ("x = foo(├a,┤\n", "python", "a,"),
        ("├if x:┤\n    y\n", "python", "if x:"),
        ("int main(├void) {┤\n", "c", "void) {"),
        ("hello ├world\nand more┤\n", None, "world"),
    ],
)
def test_a_line(drawn, name, text):
    check(drawn, name, text)


@cases(
    ("drawn", "name", "text"),
    [
        ("def f(a, b):\n    ├return a + b\n\ndef main():\n    pass┤\n", "python", "return a + b"),
        ("def f(├a, b):\n    return a\n\nf(1, 2)┤\n", "python", "a, b):\n    return a"),
        ("def f(a):├\n    return a\nf(1)┤", "python", "\n    return a"),
        ("def f(a):\n├    return a\nf(1)┤\n", "python", "    return a"),
        ("def f():\n    ├x = 1\n\n    return x\n\n┤\n", "python", "x = 1\n\n    return x"),
        ("class A:\n    def f(self):\n        ├return 1\n\n    def g(self):\n┤", "python", "return 1"),
        ("def f():\n    ├s = '''\na\n'''\n    return s┤\n", "python", "s = '''\na\n'''\n    return s"),
        (
            "def f():\n    ├x = [\n        1,\n    ]\n    return x┤",
            "python",
            "x = [\n        1,\n    ]\n    return x",
        ),
        ("function f() {├\n  return 1;\n}\n\nf();┤\n", "javascript", "\n  return 1;\n}"),
        ("function f() {├\n  return 1;\n}┤\n}\n", "javascript", "\n  return 1;"),
        ("function f() {├\n  return 1;\n┤}\n", "javascript", "\n  return 1;"),
        ("function f() {\n  ├return 1;\n}\nf();┤\n}\n", "javascript", "return 1;"),
        (
            "class A {\n  f() {├\n    return 1;\n  }\n\n  h() {}┤\n\n  g() {}\n}\n",
            "javascript",
            "\n    return 1;\n  }",
        ),
        ("xs.map((x) => {├\n  return x;\n});\nfoo();┤\n", "javascript", "\n  return x;\n});"),
        ("f(function () {\n  ├g();\n});┤\n});\n", "javascript", "g();"),
        (
            "function f() {\n  ├if (a) {\n    b();\n  } else {\n    c();\n  }\n}┤\n}\n",
            "javascript",
            "if (a) {\n    b();\n  } else {\n    c();\n  }",
        ),
        ("function f(a) {├\n  return '}';\n}┤\n", "typescript", "\n  return '}';\n}"),
        ("func F() int {\n\t├return 1\n}\n\nfunc G() {┤\n}\n", "go", "return 1"),
        ('func Na├me() string {\n\treturn "a"\n}\n\nfunc G() {}┤\n', "go", 'me() string {\n\treturn "a"\n}'),
        ("fn f<'a>() -> char {\n    ├let c = '}';\n    c\n}\n┤\n}\n", "rust", "let c = '}';\n    c"),
        ("class A {\n    int f() {\n        ├return 1;\n    }\n\n    int g() {┤\n    }\n}\n", "java", "return 1;"),
        ("int f(void) {├\n    return 1;\n}\n\nint g(void) {┤\n", "c", "\n    return 1;\n}"),
        ("struct A {\n    ├int a;\n    int b;\n};\n\nint c;┤\n};\n", "cpp", "int a;\n    int b;"),
        ("server:\n  ├port: 1\nclient:\n  a: 1┤\n", None, "port: 1"),
    ],
)
def test_a_body(drawn, name, text):
    check(drawn, name, text)


@cases(
    ("drawn", "name", "text"),
    [
        ("foo(├a, b)┤)\n", "python", "a, b"),
        ("foo(├a, b)┤);\n", "javascript", "a, b"),
        ("foo(├a, b);┤);\n", "javascript", "a, b"),
        ("foo(bar(├x)┤)\n", "python", "x)"),
        ("foo(bar(├x))┤))\n", "python", "x"),
        ("foo(bar(├x))┤)\n", "python", "x)"),
        ("outer(\n    foo(├a)┤)\n)\n", "python", "a"),
        ('print("├hello")┤")\n', "python", "hello"),
        ("x = [├1, 2]┤]\n", "python", "1, 2"),
        ("x = {'a': ├1}┤}\n", "python", "1"),
        ("def f(├a, b):┤):\n    pass\n", "python", "a, b"),
        ("x = f(a)├)┤\n", "python", ""),
        ("x = (a├ + b))┤\n", "python", " + b)"),
        ("x = ├f(a))┤\n", "python", "f(a)"),
        ("x = ├')'┤\n", "python", "')'"),
        ("x = f(├')')┤\n", "python", "')')"),
        ("x = f(  # ├a)┤\n", "python", "a)"),
        ("foo(├a┤, c)\n", "python", "a"),
        ("foo(├a, b, c)┤, c)\n", "python", "a, b"),
        ("if (├a) {┤) {\n}\n", "javascript", "a"),
        ("let v = vec![├1, 2];┤];\n", "rust", "1, 2"),
        ("fmt.Println(├a)┤)\n", "go", "a"),
        ("if (a ├== b)┤) {\n}\n", "c", "== b"),
        ("x ├=┤= 1\n", "python", "="),
        ("foo(├a┤)\n", None, "a"),
        ("foo(├a)┤)\n", None, "a"),
        ("see 1├) and 2) and :)┤\n", None, ") and 2) and :)"),
    ],
)
def test_closers_and_the_rest_of_the_line(drawn, name, text):
    done = finished(drawn, name)
    assert done.text == text


@cases(
    ("drawn", "name", "reason"),
    [
        ("x = f(├)┤)\n", "python", "repeats the text below"),
        ("x = ├a + b┤a + b\n", "python", "repeats the text below"),
        ("if a:\n    ├return 1┤\n    return 1\n", "python", "repeats the text below"),
        ("x = ├1┤\nx = 1\n", "python", "repeats the text below"),
        ("├import a\nimport b┤\n\nimport a\nimport b\n", "python", "repeats the text below"),
        ("f()\n├}┤\n", "javascript", "closes a bracket that is not open"),
        ("foo(1)\n├foo(1)┤\n", "python", "repeats the line above"),
        ("x = ├┤\n", "python", "the model had nothing to add here"),
        ("x = ├ \n\t\n┤\n", "python", "the model had nothing to add here"),
        ("x = ├<|endoftext|>foo┤\n", "python", "holds a control token of the model"),
        ("def f():\n    ├\ndef g():\n    pass┤\n", "python", "goes beyond the body"),
        ("x = 1\n├```\n┤\n", "python", "talks about the code"),
        ("x = 1\n├Here is the code you asked for┤\n", "python", "talks about the code"),
        ("foo(├\n    a)┤)\n", "python", "has more than one line"),
    ],
)
def test_nothing_is_left_and_why(drawn, name, reason):
    check(drawn, name, "", reason)


@cases(
    ("drawn", "name", "text"),
    [
        ("def f():\n    ├a()\n    b()\n    c()┤\n    b()\n    c()\n", "python", "a()"),
        ("x = ├1\nfoo(2)\nbar(3)\nbaz()┤\nfoo(2)\nbar(3)\n", "python", "1"),
        ("foo(├a)\nbar()\nbaz()┤)\nbar()\nbaz()\n", "python", "a"),
        ("x = {\n  a: ├1,\n}┤\n}\n", "javascript", "1,"),
        ("if (a) {\n  b();├\n}┤\n}\n", "javascript", ""),
    ],
)
def test_lines_below_are_not_repeated(drawn, name, text):
    assert finished(drawn, name, "always").text == text


@cases(
    ("drawn", "name", "text"),
    [
        ("def f():\n    ├a = 1\n    a = 1\n    a = 1\n    a = 1┤\n", "python", "a = 1"),
        ("def f():\n    ├aa()\n    b()\n    aa()\n    b()\n    aa()\n    b()┤\n", "python", "aa()\n    b()"),
        ("x = 1\nyy = 2\nx = 1\nyy = 2\n├x = 1\nyy = 2\nx = 1\nyy = 2┤\n", "python", ""),
        ("x = ├" + "'ab', " * 60 + "┤\n", "python", "'ab',"),
        ("x = ├[0, 0, 0, 0, 0, 0, 0, 0]┤\n", "python", "[0, 0, 0, 0, 0, 0, 0, 0]"),
        ("# ├" + "-" * 80 + "┤\n", "python", "-" * 80),
    ],
)  # fmt: skip
def test_loops(drawn, name, text):
    assert finished(drawn, name).text == text


@cases(
    ("drawn", "name", "text"),
    [
        ("x = ├a<|fim_prefix|>b┤\n", "python", "a"),
        ("x = ├a<|fim_middle|><|endoftext|>┤\n", None, "a"),
        ("def f():\n    ├return 1\n```\nThis function returns 1.┤\n", "python", "return 1"),
        ("├```python\nx = 1\n```\nbla┤\n", "python", "x = 1"),
        ("def f():├\n    return 1\n\nExplanation: it is one┤\n", "python", "\n    return 1"),
        ('def f():\n    ├"""Do it.\n\n```\nx\n```\n    """\n    return 1┤\n', "python",
         '"""Do it.\n\n```\nx\n```\n    """\n    return 1'),
        ("├Here = f(a)┤\n", "python", "Here = f(a)"),
        ("├This code is fine┤\n", None, "This code is fine"),
        ("├```┤\n", None, "```"),
    ],
)  # fmt: skip
def test_tokens_and_talk(drawn, name, text):
    check(drawn, name, text, multiline="auto")


TABS = "def a():\n\tif b:\n\t\tc()\n\td()\n\n\n"
SPACES = "def a():\n    if b:\n        c()\n    d()\n\n\n"
NARROW = "def a():\n  if b:\n    c()\n  d()\n\n\n"


@cases(
    ("drawn", "name", "text"),
    [
        ("if a:\n    ├    b()┤\n", "python", "b()"),
        ("if a:\n    b()\n    ├    c()┤\n", "python", "c()"),
        ("if a:\n   ├ b()┤\n", "python", " b()"),
        ("if a:\n├    b()┤\n", "python", "    b()"),
        ("x = foo(\n    ├    b,┤\n", "python", "    b,"),
        ("def f():\n    ├    x = 1\n    y = 2\n┤", "python", "x = 1\n    y = 2"),
        (TABS + "def f():├\n    if a:\n        b()┤\n", "python", "\n\tif a:\n\t\tb()"),
        (TABS + "def f():\n\t├if a:\n        b()┤\n", "python", "if a:\n\t\tb()"),
        (SPACES + "def f():├\n\tif a:\n\t\tb()┤\n", "python", "\n    if a:\n        b()"),
        (SPACES + "def f():├\n  if a:\n    b()┤\n", "python", "\n    if a:\n        b()"),
        (NARROW + "def f():├\n    if a:\n        b()┤\n", "python", "\n  if a:\n    b()"),
        (NARROW + "def f():\n  ├if a:\n      b()┤\n", "python", "if a:\n    b()"),
        (SPACES + "def f():├\n  x = '''\n\ta'''\n  return x┤\n", "python", "\n    x = '''\n\ta'''\n    return x"),
        (SPACES + "def f():├\n    x = g(a,\n          b)┤\n", "python", "\n    x = g(a,\n          b)"),
        ("func a() {\n\tb()\n\tc()\n\td()\n}\n\nfunc F() {├\n    x()\n┤}\n", "go", "\n\tx()"),
        ("int a() {\n  b();\n  c();\n  if (d) {\n    e();\n  }\n}\n\nint f() {├\n    x();\n    y();┤\n}\n", "c",
         "\n  x();\n  y();"),
    ],
)  # fmt: skip
def test_indentation(drawn, name, text):
    check(drawn, name, text)


@cases(
    ("drawn", "name", "text"),
    [
        ("def f():\n    ├x = 1\n    return g(x,┤\n", "python", "x = 1"),
        ("def f():\n    ├x = 1\n    for x in┤\n", "python", "x = 1"),
        ("def f():\n    ├return g(a,\n        b)┤\n", "python", "return g(a,\n        b)"),
        ("function f() {\n  ├const a = 1;\n  return a +┤\n}\n", "javascript", "const a = 1;"),
        ("x = ├'a''┤\n", "python", "'a'"),
    ],
)
def test_syntax(drawn, name, text):
    check(drawn, name, text)


@cases(
    ("drawn", "name", "text", "reason"),
    [
        ("def f():\n    ├await adapter = await make()┤\n    return adapter\n", "python", "", "does not parse"),
        ("def f():\n    ├a = 0┤    b = 0\n    return a + b\n", "python", "a = 0", None),  # a line end is yet to come
        ("def f():\n    ├result = make(┤\n    return result\n", "python", "", "is not finished"),
        ("def f():\n    ├if made:┤\n    return made\n", "python", "", "is not finished"),
        ("def f():\n    ├if made:┤\n        return made\n", "python", "if made:", None),
        ("result = ├make(┤\n    1,\n)\n", "python", "make(", None),
        (
            "def f():\n    a = 1\n    ├if a:\n        b()\n        c(1,┤\n    return a\n",
            "python",
            "if a:\n        b()",
            None,
        ),
        (
            "def f():\n    a = 1\n    ├try:\n        b()\n    except C:\n        d()\n    e()┤\n    return a\n",
            "python",
            "try:\n        b()\n    except C:\n        d()",
            None,
        ),
        (
            "class A {\n  f() {\n    g();\n    ├if (x) {\n      y();\n    }\n    z();┤\n  }\n}\n",
            "typescript",
            "if (x) {\n      y();\n    }",
            None,
        ),
        ("f();\n├const a = {\n  b: 1,\n};\nconst c┤\n", "javascript", "const a = {\n  b: 1,\n};", None),
        ("class A {\n  f() {\n    ├const a = = 1;┤\n  }\n}\n", "typescript", "", "does not parse"),
        ("class A {\n  f() {\n    ├if (x) {┤\n  }\n}\n", "typescript", "", "is not finished"),
    ],
)
def test_what_breaks_the_syntax_or_has_no_end_is_dropped(drawn, name, text, reason):
    check(drawn, name, text, reason)


@cases(
    ("drawn", "name", "text", "reason"),
    [
        # What stands behind the window's end hides that a brace is missing: the brackets show it.
        (
            "class A {\n  f() {\n    ├if (x) {\n      y();┤\n" + "    g();\n" * 400,
            "typescript",
            "",
            "is not finished",
        ),
        ("x = 1\n├y = a +┤\nz = 2\n", "python", "", "is not finished"),
        ("f();\n├const a = b &&\n  c;┤\n", "javascript", "const a = b &&\n  c;", None),
        ("f();\n├const a = b &&┤\n", "javascript", "", "is not finished"),
        ('a()\n├x = """b┤\nc()\n', "python", "", "is not finished"),
        ("f();\n├g(); /* why┤\nh();\n", "javascript", "", "is not finished"),
        ("f();\n├g(); // why┤\nh();\n", "javascript", "g(); // why", None),
    ],
)
def test_what_has_no_end_is_not_shown(drawn, name, text, reason):
    check(drawn, name, text, reason)


@cases(
    ("drawn", "name", "text", "reason"),
    [
        ('x = "a├\nfoo()┤\n', "python", "", "leaves a string open"),
        ('x = f("a├\n  b┤")\n', "javascript", "", "has more than one line"),
        ('x = "a├b")\ny = 2┤\n', "python", 'b")', None),
        ('"""A├\n\nB.\nC┤\n"""\n', "python", "\n\nB.", None),
        ("# a├ b(\nfoo()┤\n", "python", " b(", None),
        ("# a├\nfoo()┤\n", "python", "\nfoo()", None),  # the comment has said what it wants
        ("/* a├ {\n b┤\n */\n", "c", " {", None),
    ],
)
def test_strings_and_comments(drawn, name, text, reason):
    check(drawn, name, text, reason)


@cases(
    ("drawn", "name"),
    [
        ("def f():\n    g()\n    if a:\n        ├return g(1)┤\n    return g(1)\n", "python"),
        ("class A {\n    int g() {\n        int ab = 1;\n        ├int bc = 2;┤\n            int bc = 2;\n", "java"),
    ],
)
def test_the_line_below_is_not_repeated_at_another_depth(drawn, name):
    check(drawn, name, "", "repeats the text below")


def test_a_line_may_be_unfinished_where_only_lines_are_wanted():
    check("x = 1\n├if x:┤\n", "python", "if x:", multiline="never")


def test_a_line_that_is_begun_is_not_completed_to_the_one_below():
    """Also where what is begun has an open bracket, which the rest of the line would close."""
    check("check(a, style.├get(b))┤\ncheck(a, style.get(b))\n", "python", "", "repeats the text below")


def test_a_block_is_not_closed_twice():
    """Although what is open around it would close then, and the end of that lies far below."""
    more = "".join(f"    void m{n}() {{\n        go({n});\n    }}\n" for n in range(80))
    head = "class A {\n    void f() {\n        if (a) {\n"
    for at, end in ((head, "            b();\n        }"), (head + "            ", "b();\n        }")):
        rest = "\n        }\n    }\n" + more + "}\n"
        text = finished(f"{at}├{end}┤{rest}", "java", "always").text
        assert text == end.removesuffix("\n        }")
    rest = "\n        } else {\n            c();\n        }\n    }\n" + more + "}\n"
    check(f"{head}            ├b();\n        }}┤{rest}", "java", "b();", multiline="always")
    own = "if (b) {\n                c();\n            }"
    check(head + f"            ├{own}┤\n        }}\n    }}\n{more}}}\n", "java", own, multiline="always")


def test_the_notes_say_what_was_done():
    done = finished("def f(a):\n    ├return (a))\n\nx<|endoftext|>┤\n", "python")
    assert done.text == "return (a)"
    assert done.notes == (
        "holds a control token of the model",
        "goes beyond the body",
        "closes a bracket that is not open",
    )


PIECES = st.lists(
    st.sampled_from(
        ["a", "foo", "(", ")", "[", "]", "{", "}", "\n", "\n\n", "    ", "\t", " ", ":", ";", ",", '"', "'", "`", "#",
         "//", "return 1", "def f():", "}\n", "```", "<|endoftext|>", "<|", "Here is the code", "\\", "🐢",
         "ż", '"""']
    ),
    max_size=14,
).map("".join)  # fmt: skip
NAMES = st.sampled_from([*ROWS, None])
MULTILINE = st.sampled_from(["auto", "always", "never"])


def fill(raw, prefix, suffix, name, multiline):
    language = ROWS[name] if name else None
    shape = decide(prefix + suffix, len(prefix), language, multiline)
    return finish(raw, prefix, suffix, shape, language, CONTROL), shape, language


@settings(max_examples=400, deadline=None)
@given(PIECES, PIECES, PIECES, NAMES, MULTILINE)
def test_finishing_twice_is_finishing_once(raw, prefix, suffix, name, multiline):
    done, shape, language = fill(raw, prefix, suffix, name, multiline)
    again = finish(done.text, prefix, suffix, shape, language, CONTROL)
    assert again.text == done.text


@settings(max_examples=400, deadline=None)
@given(PIECES, PIECES, PIECES, NAMES, MULTILINE)
def test_what_is_shown_is_clean(raw, prefix, suffix, name, multiline):
    done, shape, _language = fill(raw, prefix, suffix, name, multiline)
    assert (done.text == "") == (done.reason is not None)
    assert done.text == "" or done.text.strip()
    assert not any(control in done.text for control in CONTROL)
    if shape.kind == "line":
        assert len(done.text.strip("\n").split("\n")) == 1


@settings(max_examples=400, deadline=None)
@given(PIECES, PIECES, st.sampled_from(["foo(1)", "    return x", "x = [1, 2]"]), NAMES, MULTILINE)
def test_the_line_below_is_never_repeated(raw, prefix, line, name, multiline):
    for text in (raw, raw + line, raw + "\n" + line, raw + "\n" + line + "\nmore", line):
        done, _shape, _language = fill(text, prefix, "\n" + line + "\nend\n", name, multiline)
        whole = (prefix[prefix.rfind("\n") + 1 :] + done.text).split("\n")
        assert not done.text or whole[-1].rstrip() != line


@settings(deadline=None)
@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80), NAMES, MULTILINE)
def test_any_text_is_finished(raw, prefix, suffix, name, multiline):
    done, _shape, _language = fill(raw, prefix, suffix, name, multiline)
    assert done.text == "" or done.reason is None

"""Each language through trigger and finish: what is suggested where, and that right answers are left alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lsp_server.completion.finish import finish
from lsp_server.completion.request import CompletionRequest
from lsp_server.completion.trigger import decide
from lsp_server.syntax.embedded import Part, part_at
from lsp_server.syntax.languages import languages
from lsp_server.text import Document

ROWS = {row.name: row for row in languages()}
SAMPLES = Path(__file__).parents[1] / "languages"
CURSOR = "┃"

BLOCKS = {
    "ruby": [
        "def f(a)\n  ┃\nend\n",
        "def f\n  ┃\n",
        "class A\n  def f(a = 1) # why\n    ┃\n  end\nend\n",
        "def f\n  # Add one.\n  ┃\nend\n",
        "xs.each do |x|┃\n",
        "xs.map { |x|\n  ┃\n}\n",
        "if a\n  b\nelse\n  ┃\nend\n",
        "while a && b\n┃\nend\n",
        "class A < B┃\n",
        "module A\n  def na┃\nend\n",
    ],
    "bash": [
        "f() {\n  ┃\n}\n",
        "f() {┃\n",
        "for x in a b; do\n  ┃\ndone\n",
        "if [[ a ]]; then┃\nfi\n",
        "if a; then\n  b\nelse\n  ┃\nfi\n",
        "case $x in\n  a | b)\n    ┃\n    ;;\nesac\n",
        "while read -r x\ndo\n  ┃\ndone\n",
        "f() {\n  # Add one.\n  ┃\n}\n",
    ],
    "lua": [
        "function f(a)\n  ┃\nend\n",
        "local function f(a)┃\n",
        "local f = function(a)\n  ┃\nend\n",
        "for i = 1, 2 do\n  ┃\nend\n",
        "if a then\n  b()\nelse\n  ┃\nend\n",
        "repeat\n  ┃\nuntil a\n",
        "function f(a)\n  -- Add one.\n  ┃\nend\n",
        "local function na┃\n",
    ],
    "html": ["<ul>\n  ┃\n</ul>\n", '<div class="a">┃\n', "<body>\n  <p>a</p>\n  <form>\n    ┃\n  </form>\n</body>\n"],
    "csharp": [
        "class A\n{\n    int F(int a)\n    {\n        ┃\n    }\n}\n",
        "class A {\n    int F(int a) {┃\n    }\n}\n",
        "class A {\n    int P\n    {\n        get {┃}\n    }\n}\n",
        "class A {\n    void F() {\n        foreach (var x in y) {\n            ┃\n        }\n    }\n}\n",
        "class A {\n    void F() {\n        switch (x) {┃}\n    }\n}\n",
        "enum E {┃}\n",
        "public class Shelf┃\n",
    ],
    "php": [
        "<?php\nfunction f($a)\n{\n    ┃\n}\n",
        "<?php\nclass A {\n    public function f() {┃\n    }\n}\n",
        "<?php\nforeach ($a as $b) {┃\n",
        "<?php\nif ($a) {\n    b();\n} else {\n    ┃\n}\n",
        "<?php\nclass A {\n    public static function of┃\n}\n",
    ],
    "kotlin": [
        "fun f(a: Int): Int {\n    ┃\n}\n",
        "class A {\n    fun f() {┃\n    }\n}\n",
        "fun f() {\n    when (x) {┃}\n}\n",
        "fun f() {\n    if (a) {\n        b()\n    } else {\n        ┃\n    }\n}\n",
        "fun f() {\n    xs.map {┃}\n}\n",
    ],
    "swift": [
        "func f(a: Int) -> Int {\n    ┃\n}\n",
        "struct A {\n    init(a: Int) {┃\n    }\n}\n",
        "func f() {\n    for x in y {\n        ┃\n    }\n}\n",
        "func f() {\n    guard let x = y else {\n        ┃\n    }\n}\n",
        "func f() {\n    if a {\n        b()\n    } else {\n        ┃\n    }\n}\n",
        "extension Shelf┃\n",
    ],
    "scala": [
        "object A {\n  def f(a: Int): Int = {\n    ┃\n  }\n}\n",
        "class A {┃}\n",
        "object A {\n  def f() = x match {┃}\n}\n",
        "object A {\n  def f() = {\n    for (x <- y) {\n      ┃\n    }\n  }\n}\n",
    ],
    "css": [".a {┃}\n", ".a {\n  ┃\n}\n", "@media print {\n  a {┃\n  }\n}\n", ".a {\n  /* Red. */\n  ┃\n}\n"],
    "json": ['{"a": {┃}}\n', '{\n  "scripts": {\n    ┃\n  }\n}\n'],
    "yaml": ["server:\n  ┃\n", "a:\n  b: 1\nserver:\n  ┃\nclient:\n  c: 1\n", "jobs:\n  test:┃\n", "steps:\n  ┃\n"],
}
LINES = {
    "csharp": [
        "class A {\n    int F() {\n        return ┃\n    }\n}\n",
        "class A {\n    int a;\n    ┃\n}\n",
        'class A {\n    string s = $"{{┃";\n}\n',
        "// class A {┃\n",
        "class A {\n    int[] a = new int[] {┃};\n}\n",
    ],
    "ruby": [
        "if a &&\n  ┃\n",
        "class E < A; end┃\n",
        "def f = 1\n┃\n",
        "def f\n  a\n  ┃\nend\n",
        "x = ┃\n",
        "foo(┃)\n",
        "# def f┃\n",
        "s = 'do┃'\n",
        "if a┃\n",
        "case a\n┃when 1\nend\n",
        "def ┃\n",
    ],
    "php": ["<?php\n$a = ┃\n", "<?php\n# if (a) {┃\n", "<?php\n$s = 'a {┃';\n", "<?php\nf($a, ┃);\n"],
    "bash": ["x=┃\n", 'echo "$┃"\n', "# then┃\n", "if [[ ┃\n", "foo | ┃\n"],
    "lua": ["local x = ┃\n", "-- function f()┃\n", "local t = {┃}\n", "f('then┃')\n", "if a ┃\n"],
    "kotlin": ["val x = ┃\n", "fun f(┃)\n", "// fun f() {┃\n", 'val s = "{┃"\n', "fun f┃\n"],
    "swift": ["let x = ┃\n", "// func f() {┃\n", 'let s = "{┃"\n', "foo(┃)\n", "func f() {\n    a()\n    ┃\n}\n"],
    "scala": ["val x = ┃\n", "// def f = {┃\n", 'val s = "{┃"\n', "def f(a: ┃)\n"],
    "sql": [
        "SELECT ┃\n",
        "SELECT a\n┃\n",
        "CREATE TABLE a (\n  ┃\n);\n",
        "-- a:┃\n",
        "SELECT '{┃'\n",
        "WITH a AS (\n┃",
    ],
    "html": ["<p>┃</p>\n", '<p class="┃">\n', "<ul>\n  <li>a</li>\n  ┃\n</ul>\n", "<br>┃\n", "<!-- <p>┃ -->\n"],
    "css": [".a { color: ┃ }\n", ".a {\n  b: c;\n  ┃\n}\n", "/* .a {┃ */\n", ".a { content: '{┃' }\n", ".a ┃\n"],
    "json": ['{"a": ┃}\n', '{"a": "{┃"}\n', '{\n  "a": 1,\n  ┃\n}\n', '{"a": [┃]}\n'],
    "yaml": ["a: ┃\n", "a: ┃  # b\n", "# a:┃\n", "a: 'b:┃'\n", "a:\n  b: 1\n  ┃\n", "- ┃\n", "a:\n  ┃\n  b: 1\n"],
    "toml": ["a = ┃\n", "[a]\n┃\n", "[a┃\n", "# a:┃\n", "a = {┃}\n"],
    "markdown": ["Steps:\n\n┃\n", "# ┃\n", "- a\n- ┃\n", "For example:┃\n", "```python\nx = ┃\n```\n"],
}
BODIES = {
    "ruby": [
        "def f\n  ├if a\n    1\n  end\n  2┤\nend\n\nf\n",
        "class A\n  def f├(a)\n    a\n  end┤\n\n  def g\n  end\nend\n",
        "xs.each do |x|├\n  p x\nend┤\n\ny = 1\n",
        "describe { |x|\n  ├p x┤\n}\n",
    ],
    "bash": [
        'f() {├\n  echo "${a}"\n  for x in 1; do\n    b\n  done\n}┤\n\nf\n',
        "if a; then\n  ├b | c\n  d┤\nfi\n",
        "case $x in\n  a)\n    ├b\n    ;;┤\n  *)\n    c\n    ;;\nesac\n",
        "function f├ {\n  a\n}┤\n\nb\n",
    ],
    "lua": [
        "function f(a)\n  ├if a then\n    return 1\n  end\n  return 2┤\nend\n",
        "g(function(a)├\n  return a\nend)┤\n\nlocal x = 1\n",
        "repeat\n  ├a()\nuntil b == 1┤\n\nlocal x = 1\n",
    ],
    "html": ["<ul>├\n  <li>a</li>\n  <li>b :)</li>\n</ul>┤\n<p>b</p>\n", "<div>\n  ├<p>a</p>\n  <br>┤\n</div>\n"],
    "csharp": ["class A {\n    int F() {├\n        return 1;\n    }┤\n\n    int G() { return 2; }\n}\n"],
    "php": ["<?php\nfunction f()\n{\n    ├$a = '}';\n    return $a;┤\n}\n\nf();\n"],
    "kotlin": ['fun f(): Int {├\n    val s = "${a}"\n    return 1\n}┤\n\nfun g() {}\n'],
    "swift": ["func f() -> Int {├\n    if a { return 2 }\n    return 1\n}┤\n\nfunc g() {}\n"],
    "scala": ["object A {\n  def f = {├\n    val a = 1\n    a\n  }┤\n\n  def g = 1\n}\n"],
    "css": [".a {├\n  color: red;\n  margin: 0;\n}┤\n\n.b { color: blue; }\n"],
    "json": ['{\n  "a": {├\n    "b": 1,\n    "c": [2]\n  }┤\n}\n'],
    "yaml": ["a:\n  ├b: 1\n  c:\n    - d: 2\n      e: it's┤\nf: 1\n", "a:├ 1┤\nb: 2\n", "a:├\n  b: 1┤\nc: 2\n"],
}


def cases(table: dict[str, list[str]]):
    return pytest.mark.parametrize(("name", "drawn"), [(name, drawn) for name in table for drawn in table[name]])


def shape_of(text: str, offset: int, name: str):
    part = part_at(text, offset, ROWS[name])
    return decide(text[part.start : part.end], offset - part.start, part.language), part


def finished(prefix: str, written: str, suffix: str, name: str):
    shape, part = shape_of(prefix + suffix, len(prefix), name)
    hole = (prefix[part.start :], (prefix + suffix)[len(prefix) : part.end])
    return finish(written, *hole, shape, part.language, ())


@cases(BLOCKS)
def test_block(name, drawn):
    for newline in ("\n", "\r\n"):
        before, after = drawn.replace("\n", newline).split(CURSOR)
        shape, _part = shape_of(before + after, len(before), name)
        assert (shape.kind, shape.reason) == ("block", shape.reason)


@cases(LINES)
def test_no_block(name, drawn):
    before, after = drawn.split(CURSOR)
    shape, _part = shape_of(before + after, len(before), name)
    assert (shape.kind in ("line", "statement"), shape.reason) == (True, shape.reason)


@cases(BODIES)
def test_a_body_is_left_alone_and_what_follows_is_cut(name, drawn):
    prefix, rest = drawn.split("├")
    body, suffix = rest.split("┤")
    assert finished(prefix, body, suffix, name).text == body
    following = suffix if suffix.strip() else suffix + prefix
    assert finished(prefix, body + following, suffix, name).text == body


# What ends the code is never suggested as code.
# What ends an embedded piece is no code of its language.
LEFT_OUT = {
    "markdown": {"```"},
    "html": {"</script>", "</script", "/script>", "/script", "script>", "script"},
}


@pytest.mark.parametrize("name", ROWS)
def test_the_true_rest_of_a_line_is_left_alone(name):
    (path,) = (SAMPLES / name).glob("sample.*")
    text = path.read_text(encoding="utf-8")
    start = n_holes = 0
    for line in text.split("\n"):
        for column in [match.start() for match in re.finditer(r"\b\w|[^\w\s]", line)]:
            prefix, rest, suffix = text[: start + column], line[column:], text[start + len(line) :]
            closers = re.search(r"[)\]};,\"'>]*$", rest)[0] if column else ""
            for kept in {"", closers}:
                middle = rest.removesuffix(kept)
                if middle.strip() and middle not in LEFT_OUT.get(name, ()):
                    assert finished(prefix, middle, kept + suffix, name).text == middle
                    n_holes += 1
        start += len(line) + 1
    assert n_holes > 50


@pytest.mark.parametrize(
    ("name", "drawn", "language", "code"),
    [
        ("markdown", "a\n\n```python\nx = ┃1\n```\n", "python", "x = 1\n"),
        ("markdown", "```py\n┃\n```\n", "python", "\n"),
        ("markdown", "```c++ title=a\n┃a\n```", "cpp", "a\n"),
        ("markdown", "- a\n\n  ~~~ {.js}\n  ┃a\n  ~~~\n", "javascript", "  a\n"),
        ("markdown", "````md\n```go\n┃a\n```\n````\n", "go", "a\n"),
        ("markdown", "```go\na\n```\n\n```\n┃b\n```\n", None, "b\n"),
        ("markdown", "```brainfuck\n┃+\n```\n", None, "+\n"),
        ("markdown", "```rust\nfn f┃", "rust", "fn f"),
        ("markdown", "```rust\r\na┃\r\n```\r\nb\r\n", "rust", "a\r\n"),
        ("markdown", "---\na: ┃\n---\n# b\n", "yaml", "a: \n"),
        ("markdown", "```html\n<script>┃a</script>\n```\n", "javascript", "a"),
        ("markdown", "a ┃\n\n```go\nb\n```\n", "markdown", "a \n\n```go\nb\n```\n"),
        ("markdown", "```go\na\n```\n┃", "markdown", "```go\na\n```\n"),
        ("markdown", "```go┃\na\n```\n", "markdown", "```go\na\n```\n"),
        ("markdown", "```go\na\n┃```\n", "markdown", "```go\na\n```\n"),
        ("html", "<script>\nf(┃)\n</script>\n", "javascript", "\nf()\n"),
        ('html', '<script setup lang="ts">┃\n</script>', "typescript", "\n"),
        ('html', '<script type="application/json">{"a": ┃1}</script>', "json", '{"a": 1}'),
        ('html', '<script type="text/x-shader">┃a</script>', None, "a"),
        ("html", "<style>\na { ┃ }\n</style><p>", "css", "\na {  }\n"),
        ('html', '<style lang="scss">┃a</style>', None, "a"),
        ("html", "<script>a</script><p>┃</p>", "html", "<script>a</script><p></p>"),
        ("php", "<?php f(); ?>\n<p ┃>\n<?= $a ?>\n", "html", "\n<p >\n"),
        ("php", "<?php\n$a = ┃1;\n", "php", "<?php\n$a = 1;\n"),
        ("python", "'''\n```js\n┃\n```\n'''", "python", "'''\n```js\n\n```\n'''"),
    ],
)  # fmt: skip
def test_part_at(name, drawn, language, code):
    offset = drawn.index(CURSOR)
    text = drawn.replace(CURSOR, "")
    part = part_at(text, offset, ROWS[name])
    assert (part.language and part.language.name, text[part.start : part.end]) == (language, code)


def test_a_text_in_no_known_language_is_one_part():
    assert part_at("```python\n\n```\n", 10, None) == Part(None, 0, 15)


def test_the_end_of_a_long_part_may_be_out_of_sight():
    code = "x = 1\n" * 5_000
    text = f"a\n\n```python\n{code}```\n"
    part = part_at(text, len(text) // 2, ROWS["markdown"])
    assert part.language is ROWS["python"] and part.start == 13 and len(text) // 2 < part.end


@pytest.mark.parametrize(
    ("drawn", "kind"),
    [
        ("Text, it's (\n\n```python\ndef f(a):\n    ┃\n```\n", "block"),
        ("```js\nfunction f() {┃}\n```\n\nText.\n", "block"),
        ("```python\nx = ┃\n```\n", "statement"),
    ],
)
def test_a_code_fence_is_read_as_its_language(drawn, kind):
    before, after = drawn.split(CURSOR)
    shape, part = shape_of(before + after, len(before), "markdown")
    assert (shape.kind, part.language.is_prose) == (kind, False)


def test_a_request_ends_where_its_fence_ends():
    text = "It's\r\n\r\n```python\r\nx = 1\r\n```\r\nMore.\r\n"
    request = CompletionRequest(Document("file:///a.md", "markdown", 1, text), text.index("1"), "a.md", "automatic")
    assert (request.part.language, request.prefix, request.suffix) == (ROWS["python"], "x = ", "1\n")


def test_a_body_does_not_go_beyond_its_fence():
    done = finished("It's\n\n```python\ndef f(a):\n    ", "return a\n```\n\nMore.", "\n```\n", "markdown")
    assert done.text == "return a"


@pytest.mark.parametrize("line", ["1) or :) and ]", "```python", "Note that this is prose.", "It's \"this"])
def test_prose_has_no_syntax(line):
    assert finished("# A\n\n", line, "\n\nb\n", "markdown").text == line

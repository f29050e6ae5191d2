"""What files define and import: golden texts of the sample workspaces, and the edges of reading a file."""

from __future__ import annotations

import pytest

from lsp_server.context.workspace import Workspace, outline_of
from lsp_server.syntax.definitions import (
    MAX_DEFINITIONS,
    QUERY_BYTES,
    SLICE_BYTES,
    Import,
    has_outline,
    outline,
)
from lsp_server.syntax.languages import language_for, languages, query_for
from tests.workspaces import SAMPLES, indexed, outlines

PYTHON = language_for("python")
CAPTURES = {
    "definitions": {
        *(f"definition.{kind}" for kind in ("function", "method", "class", "extension", "type", "constant", "field")),
        *("definition.module", "name", "body", "parent", "receiver", "extent", "inner", "attribute", "doc"),
    },
    "imports": {"import", "module", "name", "alias", "default", "receiver"},
}


@pytest.mark.parametrize("language", [row for row in languages() if has_outline(row)], ids=lambda row: row.name)
def test_queries_compile_and_use_only_known_captures(language):
    for kind, allowed in CAPTURES.items():
        query = query_for(language, kind)
        names = {query.capture_name(i) for i in range(query.capture_count)}
        assert names and names <= allowed


@pytest.mark.parametrize("language", ["python", "web", "go", "rust", "java", "c", "cpp"])
def test_the_outlines_of_the_samples(language, home):
    root = SAMPLES / language
    index = indexed(root)
    assert outlines(Workspace(index), root) == (SAMPLES / f"{language}.outlines").read_text(encoding="utf-8")
    index.stop()


def names(text, language=PYTHON):
    return [row.name for row in outline(text, language).definitions]


def test_what_is_local_is_no_definition():
    assert names("def f():\n    def g(): pass\n    class C:\n        x = 1\n    y = 2\n") == ["f"]


def test_a_definition_below_a_condition_counts():
    assert names("try:\n    def f(): pass\nexcept E:\n    class C: pass\n") == ["f", "C"]


def test_windows_line_ends_and_text_beyond_ascii():
    (row,) = outline('class Żółw:\r\n    """Powolny 🐢.\r\n\r\n    I tyle.\r\n    """\r\n', PYTHON).definitions
    assert (row.name, row.start, row.end) == ("Żółw", 0, 5)
    assert row.skeleton == 'class Żółw:\n    """Powolny 🐢."""'


@pytest.mark.parametrize("text", ["", "\n", "\0", "\ud800 = 1", "def", "class :\n  def (", "((((", '"""', "import"])
def test_broken_text_is_no_error(text):
    for language in filter(has_outline, languages()):
        outline(text, language)


def test_a_long_file_read_in_slices_is_read_as_a_whole():
    n = 3 * QUERY_BYTES // 40
    text = "".join(f"class C{i}:\n    def m(self, żółw): pass\n" for i in range(n))
    assert len(text) > 3 * QUERY_BYTES > SLICE_BYTES
    rows = outline(text[: len(text) // 4], PYTHON).definitions
    found = [row.name for row in rows if row.kind == "class"]
    assert found == [f"C{i}" for i in range(len(found))] and len(found) > 200
    assert all(row.parent == found[i // 2] for i, row in enumerate(rows) if row.kind == "method")
    assert len(outline(text * 2, PYTHON).definitions) == MAX_DEFINITIONS


def test_an_unfinished_long_file_ends_where_its_text_ends():
    text = "# \n" * (SLICE_BYTES // 3) + "def f():\n    '''never closed"
    row = outline(text, PYTHON).definitions[-1]
    assert (row.name, row.end) == ("f", text.count("\n") + 1)


def test_other_work_gets_its_turn_while_a_long_file_is_read():
    n_pauses = []
    outline("x = 1\n" * SLICE_BYTES, PYTHON, lambda: n_pauses.append(1))
    assert len(n_pauses) > 6


@pytest.mark.parametrize("at", [1, 2, 3, 6, 9])
def test_reading_can_be_broken_off(at):
    n_pauses = []

    def stop():
        n_pauses.append(1)
        if len(n_pauses) >= at:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        outline("x = 1\n" * SLICE_BYTES, PYTHON, stop)


def test_a_header_is_read_as_the_language_that_understands_it():
    c = language_for("c")
    assert [row.name for row in outline_of("struct a { int x; };\nint f(void);\n", c).definitions] == ["a", "x", "f"]
    both = outline_of("class A {\npublic:\n  virtual int f() = 0;\n};\n", c).definitions
    assert [(row.kind, row.name) for row in both] == [("class", "A"), ("method", "f")]


def test_a_nested_rust_use_stays_whole():
    (found,) = outline("use a::{\n    b,\n    c::{D as E},\n};", language_for("rust")).imports
    assert found == Import("a::{ b, c::{D as E}, }")


def test_a_comment_above_belongs_to_a_definition():
    (row,) = outline("x\n\n# Opens\n# it.\n@a\ndef f(): pass\n", PYTHON).definitions
    assert (row.start, row.skeleton) == (2, "# Opens\n@a\ndef f():")
    (row,) = outline("# -----\ndef f(): pass\n", PYTHON).definitions
    assert (row.start, row.skeleton) == (1, "def f():")


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("go", "// New makes\n// it.\nfunc New(a int) *Store {\n}\n", "func New(a int) *Store"),
        ("python", '@New\ndef New(\n    a,\n) -> B:\n    """New."""\n', "def New(\n    a,\n) -> B:"),
        ("rust", "/// New\n#[New]\npub fn New() {}\n", "pub fn New()"),
        ("c", "/* New */\n#define New(a) a\n", "#define New(a) a"),
    ],
)
def test_a_signature_has_neither_comments_nor_attributes(language, text, expected):
    assert outline(text, language_for(language)).definitions[0].signature == expected

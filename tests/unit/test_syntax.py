"""The languages as data: every row, query and sample; and the tree and the scan on small texts."""

from __future__ import annotations

import random
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.syntax import reparse
from lsp_server.syntax.languages import Language, language_for, languages, query_for, query_text
from lsp_server.syntax.scan import scan, state_after
from lsp_server.syntax.tree import WINDOW_AFTER, WINDOW_BEFORE, Block, SyntaxTree, parse, surroundings, window
from lsp_server.text import unix

SYNTAX = Path(__file__).parents[2] / "lsp_server" / "syntax"
SAMPLES = Path(__file__).parents[1] / "languages"
ROWS = languages()
CAPTURES = {"blocks": {"block", "definition"}, "regions": {"string", "comment", "code"}}

CODE_IN = {"json": "string"}  # every word is one

each_language = pytest.mark.parametrize("language", ROWS, ids=lambda row: row.name)


def language(name: str) -> Language:
    return next(row for row in ROWS if row.name == name)


def sample(row: Language) -> str:
    (path,) = (SAMPLES / row.name).glob("sample.*")
    assert path.suffix[1:] in row.file_types
    return path.read_text(encoding="utf-8")


@each_language
def test_queries_compile_and_use_only_the_listed_captures(language):
    for kind, allowed in CAPTURES.items():
        query = query_for(language, kind)
        names = {query.capture_name(i) for i in range(query.capture_count)}
        assert names and names <= allowed
        assert kind != "blocks" or language.block_style not in ("indent", "braces") or "block" in names


def test_captures_are_those_of_the_readme():
    listed = re.findall(r"`@([a-z.]+)`", (SYNTAX / "queries" / "README.md").read_text(encoding="utf-8"))
    assert set(listed) >= {name for names in CAPTURES.values() for name in names}


def test_every_folder_of_queries_belongs_to_a_row():
    folders = {path.name for path in (SYNTAX / "queries").iterdir() if path.is_dir()}
    assert folders <= {row.name for row in ROWS}


@each_language
def test_a_row_is_complete(language):
    assert language.inherits in {None, *(row.name for row in ROWS)}
    assert language.language_ids and language.file_types
    assert query_text(language, "blocks") and query_text(language, "regions")
    assert all(language_for(language_id) == language for language_id in language.language_ids)
    # A mark that begins another one must come after it.
    quotes = [quote.quote for quote in language.strings]
    assert not any(b.startswith(a) for i, a in enumerate(quotes) for b in quotes[i + 1 :])


@pytest.mark.parametrize("field", ["language_ids", "file_types"])
def test_no_two_rows_claim_the_same(field):
    claims = [claim for row in ROWS for claim in getattr(row, field)]
    assert len(claims) == len(set(claims))


def test_an_unknown_key_of_a_row_is_an_error():
    row = msgspec.json.decode((SYNTAX / "languages.json").read_bytes())[0] | {"colour": "blue"}
    with pytest.raises(msgspec.ValidationError, match="colour"):
        msgspec.convert(row, Language)


@pytest.mark.parametrize(
    ("language_id", "path", "name"),
    [
        ("python", "", "python"),
        ("typescriptreact", "a.py", "tsx"),
        ("", "/a/b/Main.JAVA", "java"),
        ("plaintext", "x.rs", "rust"),
        ("javascriptreact", None, "javascript"),
        ("brainfuck", "a.bf", None),
        ("markdown", "a.txt", "markdown"),
        ("shellscript", "", "bash"),
        ("plaintext", "README.md", "markdown"),
        ("", "", None),
    ],
)
def test_language_for(language_id, path, name):
    row = language_for(language_id, path)
    assert (row.name if row else None) == name


@each_language
def test_the_sample_parses_and_its_regions_are_found(language):
    text = sample(language)
    tree = parse(text, language)
    assert tree.n_errors == 0
    regions = {"string": language.strings, "comment": language.line_comment or language.block_comment, "code": True}
    for region in (region for region, is_known in regions.items() if is_known):
        offset = text.index(f"{region}_here") + 1
        wanted = CODE_IN.get(language.name, region) if region == "code" else region
        assert tree.region_at(offset) == wanted
        assert scan(text[:offset], language).state.region == wanted


@each_language
def test_the_sample_has_blocks_and_definitions(language):
    text = sample(language)
    tree = parse(text, language)
    offset = text.index("code_here")
    definition = tree.enclosing_definition(offset)
    assert definition.start < offset < definition.end
    assert re.match(r".*(longest|Longest|Shelf)\b", text[definition.start : definition.end])
    block = tree.enclosing_block(offset)
    if "@block" not in query_text(language, "blocks"):
        assert block is None
        return
    assert block.n_statements == 2
    assert text[block.start : block.end].count("code_here") >= 2
    assert definition.start < block.start <= block.end <= definition.end


@each_language
def test_the_sample_has_balanced_brackets(language):
    state = scan("" if language.is_prose else sample(language), language).state
    assert (state.open_brackets, state.n_faults, state.region) == ("", 0, "code")


@each_language
def test_a_sample_with_a_bracket_too_many_has_errors(language):
    stray = "<p" if language.name == "html" else ")"
    assert language.is_prose or parse(f"{sample(language)}\n{stray}", language).n_errors > 0


@pytest.mark.parametrize(
    ("name", "drawn", "region"),
    [
        ("python", "x = 1 # a┃", "comment"),
        ("python", "x = 1 # a\n┃", "code"),
        ("python", 'x = "a┃"', "string"),
        ("python", 'x = "a"┃', "code"),
        ("python", 'x = ┃"a"', "code"),
        ("python", 'x = f"a{b┃}"', "code"),
        ("python", 'x = f"a┃{b}"', "string"),
        ("python", '"""ż🐢┃"""', "string"),
        ("javascript", "x = `a${b┃}c`", "code"),
        ("javascript", "x = `a${b}c┃`", "string"),
        ("javascript", "x = /a┃b/", "string"),
        ("c", "/* a ┃*/", "comment"),
        ("c", "/* a */┃", "code"),
        ("c", "x = 1; // a┃\n", "comment"),
        ("c", "x = 1; // a┃\r\n", "comment"),
        ("go", "x := `a┃\nb`", "string"),
        ("rust", "let x = 'a┃';", "string"),
    ],
)
def test_region_at(name, drawn, region):
    offset = drawn.index("┃")
    assert parse(drawn.replace("┃", ""), language(name)).region_at(offset) == region


@pytest.mark.parametrize(
    ("name", "text", "open_brackets", "region", "n_faults"),
    [
        ("python", 'f("a(", [1', "([", "code", 0),
        ("python", "f('''a(\n", "(", "string", 0),
        ("python", "x = 'a(\ny = (", "(", "code", 1),
        ("python", "# (", "", "comment", 0),
        ("python", r"'\'(' + (", "(", "code", 0),
        ("python", "f(a))", "", "code", 1),
        ("python", "f([a)", "", "code", 1),
        ("rust", "fn f<'a>(x: &'a str) { let c = '{';", "{", "code", 0),
        ("rust", 'let s = "a\n(', "", "string", 0),
        ("cpp", "int x = 1'000'000 + f(", "(", "code", 0),
        ("go", "x := `a\\` + f(", "(", "code", 0),
        ("c", "/* ( */ { // (\n", "{", "code", 0),
        ("javascript", "`a ${f(x)} (`; {", "{", "code", 0),
        ("javascript", "a = /[\"'(]/ + b / c + f(", "(", "code", 0),
        ("typescript", "x.replace(/\\/\\{/g, '", "(", "string", 0),
        ("javascript", "a = (b) / (c) / f(", "(", "code", 0),
        ("rust", 'let s = r#"a "(" b"# + f(', "(", "code", 0),
        ("cpp", 'auto s = R"(a " ( b)" + f(', "(", "code", 0),
        ("lua", "--[[ it's (\n ( ]] f(", "(", "code", 0),
        ("lua", "--[[ a\n", "", "comment", 0),
        ("lua", "f(#t, [[it's (]], -- (\n", "(", "code", 0),
        ("bash", "case ${x#(} in\n  a) f $# it\\'s {", "{", "code", 0),
        ("ruby", "x =~ /[\"'(]/ + f(", "(", "code", 0),
        ("ruby", "=begin\nit's (\n=end\nf(", "(", "code", 0),
        ("csharp", 'f(@"C:\\", (', "((", "code", 0),
        ("php", "# it's (\n#[A(1)] f(", "(", "code", 0),
        ("yaml", "a: it's (\nb: 'it''s (' # (\n", "(", "code", 0),
        ("sql", "f('it''s (', (", "((", "code", 0),
        ("html", "<p title='a \"'>1) :) ", "", "code", 0),
        ("java", 'x = """\n  a " (\n""" + (', "(", "code", 0),
    ],
)
def test_scan(name, text, open_brackets, region, n_faults):
    state = scan(text, language(name)).state
    assert (state.open_brackets, state.region, state.n_faults) == (open_brackets, region, n_faults)


CODE = st.text(st.sampled_from("ab(){}[]\"'`\\/*# \n🐢"), max_size=60)


@given(st.sampled_from(ROWS), st.lists(CODE, max_size=4))
def test_scanning_line_by_line_is_scanning_at_once(row, pieces):
    text = "\n".join(pieces)
    state = scan("", row).state
    for line in re.findall(r"[^\n]*\n|[^\n]+\Z", text):
        state = scan(line, row, state).state
    # An escaped line end inside a string is the one thing that a cut hides.
    if "\\\n" not in text:
        assert state == scan(text, row).state


@given(st.sampled_from(ROWS), CODE, CODE)
def test_a_state_read_on_is_that_of_the_scan(row, before, text):
    state = state_after(before, row)
    assert state == scan(before, row).state
    assert state_after(text, row, state) == scan(text, row, state).state


@each_language
def test_offsets_count_code_points_whatever_bytes_they_take(language):
    text = sample(language)
    wide = text.replace("string_here", "łańcuch🐢").replace("comment_here", "uwaga🐢🐢")
    at, wide_at = text.index("code_here"), wide.index("code_here")
    for ask in (SyntaxTree.enclosing_block, SyntaxTree.enclosing_definition):
        found, wide_found = ask(parse(text, language), at), ask(parse(wide, language), wide_at)
        assert (found is None) == (wide_found is None)
        if found is not None:
            narrow = wide[wide_found.start : wide_found.end].replace("łańcuch🐢", "string_here")
            assert narrow.replace("uwaga🐢🐢", "comment_here") == text[found.start : found.end]


@given(st.sampled_from(ROWS), st.text(max_size=80), st.integers(0, 80))
def test_any_text_has_an_answer(row, text, offset):
    tree = parse(text, row)
    assert tree.n_errors >= 0
    assert tree.region_at(offset) in ("code", "string", "comment")
    block = tree.enclosing_block(offset)
    assert block is None or 0 <= block.start <= block.end <= len(text)


@pytest.mark.parametrize("lone", ["\ud800", "\x00", "\ufeff"])
def test_odd_characters_count_as_one(lone):
    text = f"{lone} = 'ab'\n"
    assert parse(text, language("python")).region_at(text.index("b")) in ("string", "code")
    assert parse(f"x = 'a{lone}b'", language("python")).region_at(7) == "string"


def test_a_small_text_is_its_own_window():
    around = window("ab\n", "cd", None)
    assert (around.text, around.start, around.cursor, around.is_whole_start) == ("ab\ncd", 0, 3, True)


def test_a_window_begins_at_the_left_edge_and_ends_with_a_line():
    body = "def f():\n" + "    x = 1\n" * 50
    around = window(body * 100, body * 100, None)
    assert around.text.startswith("def f():\n") and around.text.endswith("\n")
    assert len(around.prefix) <= WINDOW_BEFORE and len(around.suffix) <= WINDOW_AFTER
    assert around.prefix + around.suffix == around.text


@pytest.mark.parametrize("cut", range(0, 80, 5))
def test_a_window_in_a_large_class_begins_with_a_method_and_not_within_a_docstring(cut):
    method = '    def f(self):\n        """It doesn\'t\n\n        say `much`.\n        """\n        return 1\n\n'
    around = window("class Large:\n" + "#" * cut + "\n" + method * 200, "", language("python"))
    assert around.text.startswith("    def f(self):\n") and not around.is_whole_start
    assert state_after(around.prefix, language("python")).region == "code"


def test_a_single_endless_line_is_cut():
    around = window("a" * 5_000_000, "b" * 5_000_000, None)
    assert len(around.text) == WINDOW_BEFORE + WINDOW_AFTER and not around.is_whole_start


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("at", [0, 10, 4_000, 9_000, 20_000])
def test_surroundings_are_the_ends_of_the_halves(newline, at):
    lines = [f"line {n}" for n in range(20_000)]
    before, behind = newline.join(lines[:at]) + newline, newline.join(lines[at:])
    found = surroundings(before + behind, len(before))
    assert found == (unix(before)[-WINDOW_BEFORE - 1 :], unix(behind)[: WINDOW_AFTER + 1])


def test_surroundings_of_empty_lines_with_two_characters_each():
    before, behind = surroundings("\r\n" * 40_000, 40_000)
    assert (before, behind) == ("\n" * (WINDOW_BEFORE + 1), "\n" * (WINDOW_AFTER + 1))


@each_language
def test_a_text_typed_into_parses_as_if_it_were_new(language):
    rng = random.Random(language.name)
    text = sample(language)
    for _ in range(60):
        at = rng.randrange(len(text) + 1)
        end = min(len(text), at + rng.choice((0, 0, 1, 4, 40)))
        copied = rng.randrange(len(text) + 1)
        typed = "".join(rng.choices("ab (){}[]\"'`#/*\n:;=<>-\\🐢", k=rng.randint(0, 4)))
        text = text[:at] + rng.choice((typed, text[copied : copied + 40])) + text[end:]
        tree, new = SyntaxTree(text, language), answers(text, language)
        assert tree.has_errors == (new[0] > 0)
        places = range(0, len(text), 97)
        assert (tree.n_errors, [tree.region_at(i) for i in places], [tree.enclosing_block(i) for i in places]) == new


def answers(text: str, language: Language) -> tuple[int, list[str], list[Block | None]]:
    """What a tree says that was made from the text alone, and of which `has_errors` was not asked first."""
    places = range(0, len(text), 97)
    tree = SyntaxTree(text, language)
    regions, blocks = [tree.region_at(i) for i in places], [tree.enclosing_block(i) for i in places]
    return tree.n_errors, regions, blocks


def test_few_trees_are_kept():
    for n in range(20):
        assert not SyntaxTree(f"a{n} = {n}\n" * 50 * (n + 1), language("python")).has_errors
    assert len(reparse._kept) <= reparse.N_KEPT

"""The languages Kruk can read: rows of `languages.json`, their grammars and queries, loaded when first used.

Adding a language is a row, a folder of queries and a sample for the tests; nothing here names a language.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path, PurePath
from typing import Literal

import msgspec
import tree_sitter

from lsp_server.errors import KrukError

_HERE = Path(__file__).parent


class Quote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of string literal.

    `spans` says how far it may reach: one `line`, many `lines`, or one `character` (a lone quote, as in a
    Rust lifetime or a C++ digit separator, is then no string).
    """

    quote: str
    spans: Literal["line", "lines", "character"]
    escapes: bool = True


class Pattern(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A literal that only a regular expression describes, skipped when it is whole; no groups in the pattern."""

    first: str
    pattern: str


class Indent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one step of indentation is when the document does not show it."""

    unit: str


class BlockComment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The two ends of a comment that may span lines."""

    open: str
    close: str


class Embedded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pieces of another language inside a text: code fences, scripts.

    `pattern` is searched with `^` and `$` at each line and `.` for any character. Its group `code` is the
    piece; what its group `language` finds names the language as clients and file names do, else `language`.
    """

    pattern: str
    language: str = ""


class Language(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of `languages.json`.

    Attributes:
        name: Also the folder of its queries.
        language_ids: As LSP clients send them in `textDocument/didOpen`.
        file_types: Endings of file names without the dot, for clients that send an unknown id.
        grammar: The Python module of the tree-sitter grammar; `grammar_function` is called in it.
        inherits: Another row whose queries come before this one's.
        strings: The longest mark first, where one begins another.
        literals: What `strings` cannot say: JavaScript's regular expressions, raw strings.
        block_style: Whether a body is ended by a dedent, by its closing brace, or by a dedented line of its own
            (`end`, `fi`, `</ul>`); "none" where nothing has a body.
        opener: A regular expression for how the header of an `end` language's body ends: `do`.
        header: One for how a line begins that is a header although its end does not show it: `def`.
        closer: One for the dedented line that ends a body and belongs to it.
        body_probes: For `indent` and `end` languages: statements, one of which is legal in every body. The syntax
            tree is asked what a body would be by putting one where the cursor is.
        definition_words: A line that begins with one of these begins a definition with a body.
        embeds: Where pieces of other languages are; the first pattern that fits wins.
        is_prose: What is around those pieces follows no grammar: there, nothing is a syntax error.
    """

    name: str
    language_ids: tuple[str, ...]
    file_types: tuple[str, ...]
    grammar: str
    grammar_function: str = "language"
    line_comment: str
    block_comment: BlockComment | None = None
    strings: tuple[Quote, ...]
    literals: tuple[Pattern, ...] = ()
    indent: Indent
    block_style: Literal["indent", "braces", "end", "none"]
    opener: str = ""
    header: str = ""
    closer: str = ""
    body_probes: tuple[str, ...] = ()
    definition_words: tuple[str, ...] = ()
    inherits: str | None = None
    embeds: tuple[Embedded, ...] = ()
    is_prose: bool = False

    @property
    def opener_pattern(self) -> str:
        """A regular expression for what ends the header of a block; it sees the spaces behind it too."""
        return self.opener or {"indent": r":\s*$", "braces": r"\{\s*$"}.get(self.block_style, "(?!)")

    @property
    def block_opener(self) -> str:
        """What ends the header of a block: ":" or "{"."""
        return ":" if self.block_style == "indent" else "{"


@functools.cache
def languages() -> tuple[Language, ...]:
    """Every row, in the file's order.

    Raises:
        KrukError: The file does not follow its schema.
    """
    path = _HERE / "languages.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[Language, ...])
    except msgspec.DecodeError as error:
        raise KrukError(f"`{path}` is not valid: {error}", "Reinstall Kruk or undo the change") from error


def language_for(language_id: str, path: str | None = None) -> Language | None:
    """The row for a document; the client's id decides, the file name's ending only when the id is unknown."""
    by_id, by_type = _index()
    ending = PurePath(path or "").suffix.removeprefix(".").lower()
    return by_id.get(language_id) or by_type.get(ending)


def parser_for(language: Language) -> tree_sitter.Parser:
    """A new parser of a language; its grammar is imported now if it has not been.

    New for each caller because a parser may not be used by two threads at once, and making one costs nothing.

    Raises:
        KrukError: The grammar is not installed, or does not fit this tree-sitter.
    """
    return tree_sitter.Parser(_grammar(language))


@functools.cache
def query_for(language: Language, kind: str) -> tree_sitter.Query:
    """The compiled query `<kind>.scm` of a language, its ancestors' text first.

    Raises:
        KrukError: The query does not compile against the grammar.
    """
    text = query_text(language, kind)
    try:
        query: tree_sitter.Query = tree_sitter.Query(_grammar(language), text)
    except tree_sitter.QueryError as error:
        raise KrukError(f"`{kind}.scm` of `{language.name}` does not compile: {error}") from error
    return query


def query_text(language: Language, kind: str) -> str:
    """The text of `<kind>.scm` with what it inherits; empty when no folder in the line of descent has it."""
    parents = [row for row in languages() if row.name == language.inherits]
    inherited = query_text(parents[0], kind) if parents else ""
    path = _HERE / "queries" / language.name / f"{kind}.scm"
    return inherited + (path.read_text(encoding="utf-8") if path.is_file() else "")


@functools.cache
def _grammar(language: Language) -> tree_sitter.Language:
    # One of the two languages of `tree_sitter_typescript` is tsx, hence the function's name in the row.
    try:
        module = importlib.import_module(language.grammar)
        return tree_sitter.Language(getattr(module, language.grammar_function)())
    except (ImportError, AttributeError, ValueError) as error:
        raise KrukError(
            f"the grammar of `{language.name}` does not load: {error}",
            f"Install the package `{language.grammar.replace('_', '-')}`",
        ) from error


@functools.cache
def _index() -> tuple[dict[str, Language], dict[str, Language]]:
    by_id = {language_id: row for row in languages() for language_id in row.language_ids}
    by_type = {ending: row for row in languages() for ending in row.file_types}
    return by_id, by_type

"""The piece of a document that an action works on: whole lines, as the model sees them and as they stand there."""

from __future__ import annotations

from dataclasses import dataclass

from lsp_server.errors import KrukError
from lsp_server.syntax.definitions import Definition, has_outline, outline
from lsp_server.syntax.languages import Language
from lsp_server.syntax.tree import Span, SyntaxTree, parse
from lsp_server.text import Document

MAX_CHARS = 400_000  # a longer document is not parsed for an action
MAX_LINES_AROUND = 80  # a longer definition around a diagnostic is not asked about as a whole
MAX_WORD_CHARS = 100
N_LINES_NEAR = 5  # then, and where there is none, lines around it


@dataclass(frozen=True)
class Target:
    """Whole lines of a document.

    Attributes:
        start, end: Their offsets, without the last line end.
        indent: What all lines begin with, and the model does not see.
        code: The lines as the model sees them.
        name: Of the definition that they are or lie in; "" when there is none.
        is_definition: Whether they are one definition and nothing else.
    """

    document: Document
    language: Language | None
    start: int
    end: int
    indent: str
    code: str
    name: str
    is_definition: bool


def tree_of(text: str, language: Language | None) -> SyntaxTree | None:
    """The tree of a text that has one."""
    return None if language is None or language.is_prose or len(text) > MAX_CHARS else parse(text, language)


def target_of(document: Document, language: Language | None, start: int, end: int) -> Target:
    """What a selection means: the lines it touches; a mere place the definition around it, else the document.

    Raises KrukError when there is nothing.
    """
    if is_place(document, start, end):
        span = definition_at(document, language, start)
        start, end = (span.start, span.end) if span else (0, len(document.text))
    return _target(document, language, start, end)


def definition_around(target: Target) -> Target:
    """The definition that a target lies in, or the target where there is none."""
    span = definition_at(target.document, target.language, target.start)
    if target.is_definition or span is None or span.end < target.end:
        return target
    return _target(target.document, target.language, span.start, span.end)


def is_place(document: Document, start: int, end: int) -> bool:
    """Whether a selection only says where somebody is: ALE sends the character at the cursor, Eglot the word."""
    return end - start <= 1 or (end - start <= MAX_WORD_CHARS and document.text[start:end].isidentifier())


def target_around(document: Document, language: Language | None, start: int, end: int) -> Target:
    """What has to be seen to put a problem at [start, end) right: the definition around it, or some lines."""
    span = definition_at(document, language, start)
    if span and span.end >= end and _n_lines(document, span) <= MAX_LINES_AROUND:
        return _target(document, language, span.start, span.end)
    first = max(document.line_of(start) - N_LINES_NEAR, 0)
    last = min(document.line_of(end) + N_LINES_NEAR, len(document.line_starts) - 1)
    return _target(document, language, document.line_starts[first], line_end(document, last))


def definition_at(document: Document, language: Language | None, offset: int) -> Span | None:
    """The innermost definition around an offset, or that begins on its line; rather one of several lines."""
    tree = tree_of(document.text, language)
    if tree is None:
        return None
    line = document.line_of(offset)
    start, end = document.line_starts[line], line_end(document, line)
    text = document.text[start:end]
    if not text.strip():
        return tree.enclosing_definition(offset)
    last = start + len(text.rstrip())
    begun = tree.enclosing_definition(last)
    if begun and begun.start >= start and begun.end > end:  # `const f = () => {`: its name stands in front of it
        return begun
    span = found = tree.enclosing_definition(min(max(offset, start + len(text) - len(text.lstrip())), last))
    while span and _n_lines(document, span) == 1:
        span = tree.enclosing_definition(span.start - 1) if span.start else None
    named = definition_named_at(document, language, offset)
    if named and named.kind in ("function", "method"):  # `const f = () => {…}` is one for the outline only
        inner = _span_of(document, tree, named)
        if inner and (span is None or (span.start <= inner.start and inner.end < span.end)):
            return inner
    return span or found


def definition_named_at(document: Document, language: Language | None, offset: int) -> Definition | None:
    """The innermost definition that the outline has around an offset."""
    if language is None or not has_outline(language) or len(document.text) > MAX_CHARS:
        return None
    line = document.line_of(offset)
    around = [found for found in outline(document.text, language).definitions if found.start <= line < found.end]
    return min(around, key=lambda found: found.end - found.start, default=None)


def _span_of(document: Document, tree: SyntaxTree, named: Definition) -> Span | None:
    """A definition of the outline, without comments and decorators above."""
    for line in range(named.start, named.end):
        start, end = document.line_starts[line], line_end(document, line)
        text = document.text[start:end]
        begin = start + len(text) - len(text.lstrip())
        if named.name in text and tree.region_at(begin + 1) == "code":
            return Span(begin, line_end(document, named.end - 1))
    return None


def line_end(document: Document, line: int) -> int:
    """Offset of the end of a line, before its line end."""
    return document.offset_at(line, len(document.text), "utf-32")


def line_text(document: Document, line: int) -> str:
    """A line without its line end."""
    return document.text[document.line_starts[line] : line_end(document, line)]


def _n_lines(document: Document, span: Span) -> int:
    return document.line_of(span.end) - document.line_of(span.start) + 1


def _target(document: Document, language: Language | None, start: int, end: int) -> Target:
    first, last = document.line_of(start), document.line_of(end)
    if last > first and end == document.line_starts[last]:  # the selection ends before that line
        last -= 1
    lines = [line_text(document, n) for n in range(first, last + 1)]
    while lines and not lines[0].strip():
        lines.pop(0)
        first += 1
    while lines and not lines[-1].strip():
        lines.pop()
        last -= 1
    if not lines:
        raise KrukError("There is no code here", "Select some, or put the cursor into a definition.")
    start, end = document.line_starts[first], line_end(document, last)
    indent = common_indent(lines)
    code = "\n".join(line[len(indent) :] for line in lines)
    span = definition_at(document, language, start)
    is_definition = span is not None and (document.line_of(span.start), document.line_of(span.end)) == (first, last)
    named = definition_named_at(document, language, span.start if span and is_definition else start)
    return Target(document, language, start, end, indent, code, named.name if named else "", is_definition)


def common_indent(lines: list[str]) -> str:
    """The white space that all lines begin with, blank ones aside."""
    indents = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines if line.strip()]
    shortest = min(indents, key=len, default="")
    while not all(indent.startswith(shortest) for indent in indents):
        shortest = shortest[:-1]
    return shortest

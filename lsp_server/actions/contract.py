"""What a definition promises: its documentation and its header, without the body."""

from __future__ import annotations

from lsp_server.actions.target import Target, definition_named_at, line_text, tree_of
from lsp_server.syntax.tree import SyntaxTree, parse
from lsp_server.text import Document, unix

MAX_LINES_ABOVE = 60


def contract_of(target: Target) -> str:
    """The target's lines up to where its body's code begins; "" when no documentation is among them."""
    if target.language is None or not target.is_definition:
        return ""
    tree = parse(target.code, target.language)
    lines = target.code.split("\n")
    n_header = _n_header_lines(tree, lines)
    n = n_header
    while n and n < len(lines) and (not lines[n].strip() or _is_quiet(tree, lines, n)):
        n += 1
    above = comment_above(target)
    is_documented = above or n > n_header or any(_is_quiet(tree, lines, row) for row in range(n_header))
    return above + "\n".join(lines[:n]) + "\n" if is_documented and n < len(lines) else ""


def comment_above(target: Target) -> str:
    """The comment right above a definition, with the decorators and attributes that stand between; "" for none."""
    document = target.document
    tree = tree_of(document.text, target.language)
    named = definition_named_at(document, target.language, target.start)
    first = row = document.line_of(target.start)
    if tree is None or named is None or named.name != target.name:
        return ""
    row = min(row, named.start)
    while row and first - row < MAX_LINES_ABOVE and _is_comment(tree, document, row - 1):
        row -= 1
    lines = unix(document.text[document.line_starts[row] : document.line_starts[first]]).split("\n")
    return "\n".join(line.removeprefix(target.indent) for line in lines)


def _is_comment(tree: SyntaxTree, document: Document, row: int) -> bool:
    """Whether a line begins within a comment."""
    text = line_text(document, row)
    return (
        tree.region_at(document.line_starts[row] + len(text) - len(text.lstrip()) + bool(text.strip())) == "comment"
    )


def _n_header_lines(tree: SyntaxTree, lines: list[str]) -> int:
    """How many lines come before the body; 0 when it does not begin on a line of its own."""
    at = 0
    for line in lines:
        at += len(line)
        block = tree.enclosing_block(at + 1)
        if block and block.start > 0:
            head = "\n".join(lines)[: block.start]
            n = head.count("\n")
            return n if head.endswith("\n") or not head.rpartition("\n")[2].strip() else n + 1
        at += 1
    return 0


def _is_quiet(tree: SyntaxTree, lines: list[str], n: int) -> bool:
    """Whether a line is within a comment or a string."""
    start = sum(len(line) + 1 for line in lines[:n])
    text = lines[n]
    return bool(text.strip()) and tree.region_at(start + len(text) - len(text.lstrip()) + 1) != "code"

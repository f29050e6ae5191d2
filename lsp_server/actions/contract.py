"""What a definition promises: its documentation and its header, without the body."""

from __future__ import annotations

from lsp_server.actions.target import Target, definition_named_at
from lsp_server.syntax.tree import SyntaxTree, parse
from lsp_server.text import unix


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
    """What the outline counts to the definition, above its first line."""
    document = target.document
    named = definition_named_at(document, target.language, target.start)
    first = document.line_of(target.start)
    if named is None or named.name != target.name or named.start >= first:
        return ""
    lines = unix(document.text[document.line_starts[named.start] : document.line_starts[first]]).split("\n")
    return "\n".join(line.removeprefix(target.indent) for line in lines)


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

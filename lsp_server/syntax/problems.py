"""Where a text does not parse, in words that a model and a person understand."""

from __future__ import annotations

from lsp_server.syntax.languages import Language, parser_for


def first_problem(text: str, language: Language) -> tuple[int, str] | None:
    """Line (from 0) of the first place that does not parse, and what is wrong there; None when all of it does."""
    source = text.replace("\0", " ").encode("utf-8", "replace")
    node = parser_for(language).parse(source).root_node
    if not node.has_error:
        return None
    while inner := next((child for child in node.children if child.has_error or child.is_missing), None):
        node = inner
    if node.is_missing:
        return node.start_point.row, f"`{node.type}` is missing"
    found = source[node.start_byte : node.end_byte].decode("utf-8", "replace").strip().split("\n")[0][:60]
    return node.start_point.row, f"`{found}` does not belong there" if found else "something is missing"

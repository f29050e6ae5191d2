"""Lines and indentation of the text around a cursor, as measured by trigger, stop and finish.

Widths are columns, a tab reaching to the next multiple of `TAB_COLUMNS`.
"""

from __future__ import annotations

import re

from lsp_server.syntax.languages import Language

TAB_COLUMNS = 4


def indent_of(line: str) -> str:
    """The white space a line begins with."""
    return line[: len(line) - len(line.lstrip(" \t"))]


def width_of(line: str) -> int:
    """How many columns a line is indented."""
    return len(indent_of(line).expandtabs(TAB_COLUMNS))


def line_prefix_of(prefix: str) -> str:
    """What the cursor's line holds before the cursor."""
    return prefix[prefix.rfind("\n") + 1 :]


def line_suffix_of(suffix: str) -> str:
    """What the cursor's line holds after the cursor, without its line end."""
    end = suffix.find("\n")
    return (suffix if end < 0 else suffix[:end]).rstrip("\r")


def lines_above(prefix: str) -> list[str]:
    """The lines above the cursor's line, the nearest last."""
    return prefix.split("\n")[:-1]


def line_above(prefix: str) -> str:
    """The nearest line above the cursor's that is not blank; empty if there is none."""
    return next((line.rstrip() for line in reversed(lines_above(prefix)) if line.strip()), "")


def lines_below(suffix: str) -> list[str]:
    """The lines below the cursor's that are not blank, the nearest first, without white space at their ends."""
    return [line.rstrip() for line in suffix.split("\n")[1:] if line.strip()]


def opens_block(line: str, language: Language | None) -> bool:
    """Whether a line, by its text, ends in what opens a block: ":", "{" or `do`."""
    if language is None:
        return line.rstrip().endswith((":", "{"))
    return bool(re.search(language.opener_pattern, _without_comment(line, language)))


def begins_body(line: str, language: Language | None) -> bool:
    """Whether a line that is complete opens a block, by its end or by how it begins: Ruby's `def f`."""
    if language is None or not language.header:
        return opens_block(line, language)
    header = rf"\s*(?:{language.header})"
    return opens_block(line, language) or bool(re.match(header, _without_comment(line, language)))


def closer_in(line: str, language: Language | None) -> int:
    """The length of the line when it is one that ends a body by its words, as `end` does; 0 when it is none."""
    match = re.match(rf"\s*(?:{language.closer})", line) if language and language.closer else None
    return match.end() if match else 0


def _without_comment(line: str, language: Language) -> str:
    mark = language.line_comment
    # `if x:  # why` opens a block too; a mark inside a string costs only this look at the text.
    return line[: line.rindex(mark)].rstrip() or line if mark and mark in line else line

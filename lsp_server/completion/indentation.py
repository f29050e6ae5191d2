"""Filters that give a completion the indentation its document has."""

from __future__ import annotations

import re
from itertools import pairwise

from lsp_server.completion.hole import Hole
from lsp_server.completion.layout import TAB_COLUMNS, begins_body, indent_of, width_of
from lsp_server.syntax.scan import scan

_MODEL_UNITS = (2, 3, 4, 8)


def first_line(text: str, hole: Hole) -> str:
    """On a line that is blank so far, begin where its indentation ends, not with a second one or a new line."""
    if hole.line_prefix.strip() or hole.line_suffix.strip() or hole.state.region != "code":
        return text
    body = text.lstrip(" \t\n")
    lead = text[: len(text) - len(body)]
    indent = lead[lead.rfind("\n") + 1 :]
    if "\n" in lead:
        # An empty line may be meant, where the cursor's own line has no indentation to lose.
        is_below_code = not indent and any(hole.recent[-1:])
        separates = not hole.line_prefix and (hole.shape.kind == "block" or is_below_code)
        if separates or width_of(indent) < width_of(hole.line_prefix):
            return text
        indent = indent.removeprefix(hole.line_prefix) if indent.startswith(hole.line_prefix) else ""
    return _fitting(indent, hole) + body


def _fitting(indent: str, hole: Hole) -> str:
    """So much of `indent` as may be added to the line's own indentation."""
    language = hole.language
    if not indent or not hole.line_prefix or language is None or hole.state.open_brackets.endswith(("(", "[")):
        return indent
    unit = hole.indent_unit or language.indent.unit
    step = width_of(unit) if begins_body(hole.above, language) else 0
    n_missing = max(0, width_of(hole.above) + step - width_of(hole.line_prefix))
    if language.block_style == "indent":
        return indent if width_of(indent) <= n_missing else " " * n_missing
    return "" if indent == hole.line_prefix and not n_missing else indent


def document_style(text: str, hole: Hole) -> str:
    """Turn the following lines' tabs into spaces or back, and their steps into the document's."""
    if "\n" not in text or hole.state.region != "code":
        return text
    lines = text.split("\n")
    is_code = _starts_in_code(lines, hole)
    if hole.indent_kind == "tabs":
        lines = [
            _tabbed(line, lines) if code and i else line
            for i, (line, code) in enumerate(zip(lines, is_code, strict=True))
        ]
    elif hole.indent_kind == "spaces":
        spaces = hole.indent_unit or (hole.language.indent.unit if hole.language else "")
        spaces = spaces if spaces.strip(" ") == "" and spaces else " " * TAB_COLUMNS
        lines = [
            indent_of(line).replace("\t", spaces) + line.lstrip(" \t") if code and i else line
            for i, (line, code) in enumerate(zip(lines, is_code, strict=True))
        ]
        lines = _restepped(lines, is_code, hole)
    return "\n".join(lines)


def _tabbed(line: str, lines: list[str]) -> str:
    widths = [width_of(other) for other in lines[1:] if other.strip() and other.startswith(" ")]
    unit = next((unit for unit in (4, 2) if all(width % unit == 0 for width in widths)), 0)
    if not unit or not line.startswith(" "):
        return line
    return "\t" * (width_of(line) // unit) + line.lstrip(" \t")


def _restepped(lines: list[str], is_code: list[bool], hole: Hole) -> list[str]:
    """The lines with steps of the document's width where the model used another."""
    whole = [hole.line_prefix + lines[0], *lines[1:]]
    # In a body that has no indentation yet, the first line has the model's own step too.
    is_first_free = not hole.line_prefix and begins_body(hole.above, hole.language)
    path = [hole.above, *whole] if is_first_free else whole
    is_code_on_path = [True, *is_code] if is_first_free else is_code
    steps = {
        width_of(deeper) - width_of(line)
        for (line, deeper), is_deeper_code in zip(pairwise(path), is_code_on_path[1:], strict=True)
        if is_deeper_code and _is_header(line, hole) and width_of(deeper) > width_of(line)
    }
    if len(steps) != 1 or not steps <= set(_MODEL_UNITS):
        return lines
    step, wanted = steps.pop(), len(hole.indent_unit)
    if not wanted or step == wanted:
        return lines
    base = width_of(path[0])
    first = 0 if is_first_free else 1
    for i in range(first, len(lines)):
        extra = width_of(lines[i]) - base
        if is_code[i] and lines[i].strip() and extra > 0 and extra % step == 0:
            lines[i] = " " * (base + extra // step * wanted) + lines[i].lstrip(" \t")
    return lines


def _is_header(line: str, hole: Hole) -> bool:
    """Whether a line opens a block and not a value: `Point{` is an initialiser, indented by other rules."""
    return begins_body(line, hole.language) and not re.search(r"\w\{$", line.rstrip())


def _starts_in_code(lines: list[str], hole: Hole) -> list[bool]:
    """For each line, whether it begins in code and not inside a string, whose white space is its own."""
    state = hole.state
    found = []
    for line in lines:
        found.append(state.region == "code")
        state = scan(line + "\n", hole.language, state).state
    return found

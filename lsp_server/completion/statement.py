"""Where the statement ends that is being written at the cursor: with its line, unless that opens something.

Used twice, as `block` is: while the text comes, to stop the model, and at the end, to cut what goes beyond.
"""

from __future__ import annotations

import re

from lsp_server.completion.hole import Hole
from lsp_server.completion.layout import begins_body, closer_in, width_of
from lsp_server.syntax.scan import ScanState, scan
from lsp_server.syntax.tree import parse

MAX_STATEMENT_LINES = 12
_N_GUESSED = 2  # lines that are read on although nothing is open, because what there is does not parse
_OPERATOR = re.compile(r"(?:\\|(?<=[\s\w)\]])\s(?:[-+*/%&|^=<]|[=-]>|&&|\|\||[=!]==?|[<>]=))\s*$")
_LINE = re.compile(r"[^\n]*\n|[^\n]+\Z")


def statement_end(text: str, hole: Hole) -> int | None:
    """Offset in `text`, behind a line, at which its statement is whole; None when it may go on.

    A body that only its indentation shows ends before the first line outside of it.
    """
    lines = _LINE.findall(text)
    first = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    state, at, n_guessed = hole.state, 0, 0
    floor, has_header = 0, False
    for i, line in enumerate(lines):
        whole = hole.line_prefix + line if i == 0 else line
        if has_header and line.strip() and _is_closed(state, hole) and width_of(line) <= floor:
            if closer := closer_in(line, hole.language):
                return at + closer
            if not _belongs(line, floor, hole):
                return at
        state = scan(line, hole.language, state).state
        at += len(line)
        is_closed = _is_closed(state, hole)
        has_header = has_header or (is_closed and is_header(whole, hole))
        if i == first:
            floor = width_of(whole)
            if (has_header or not is_closed) and width_of(hole.next_line) > floor:
                return at  # what it opens is there already
        if i < first or has_header:
            continue
        if is_closed and goes_on(line):
            continue
        n_guessed += is_closed
        if n_guessed > _N_GUESSED or not hole.has_errors(text[:at].rstrip("\n")):
            return at
        if is_closed and hole.has_errors(""):
            return at
    return None


def goes_on(line: str) -> bool:
    """Whether a line ends in the middle of an expression: behind an operator or a backslash."""
    return _OPERATOR.search(line) is not None


def _is_closed(state: ScanState, hole: Hole) -> bool:
    return state.region == "code" and len(state.open_brackets) <= len(hole.state.open_brackets)


def _belongs(line: str, floor: int, hole: Hole) -> bool:
    """Whether a line is the header of the statement's next body: nothing that could stand alone, as `else`."""
    is_next = width_of(line) == floor and is_header(line, hole)
    return is_next and hole.language is not None and parse(line.strip(), hole.language).has_errors


def is_header(line: str, hole: Hole) -> bool:
    """Whether a line begins a body that no bracket ends."""
    return hole.language is not None and hole.language.block_style != "braces" and begins_body(line, hole.language)

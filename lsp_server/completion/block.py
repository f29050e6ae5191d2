"""Where a body ends, in text that a model has written behind the cursor.

Used twice: while the text comes, to stop the model, and at the end, to cut what goes beyond. Both read the
text line by line with the same eyes, so they agree. Knows nothing of the syntax tree: text that is being
written does not parse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lsp_server.completion.layout import closer_in, line_prefix_of, width_of
from lsp_server.completion.trigger import Shape
from lsp_server.syntax.languages import Language
from lsp_server.syntax.scan import ScanState, scan, state_after

# What may follow the brace that ends a body and still belong to its statement: `});`
_AFTER_BRACE = re.compile(r"[)\]};,]*")


@dataclass(frozen=True, slots=True)
class BodyEnd:
    """Where the body ends, as an offset into the line that was read, and why."""

    offset: int
    reason: str


class BodyReader:
    """Reads the lines of a body one after another and says when it has ended.

    The first "line" is what comes after the cursor on the cursor's line. Lines keep their line ends.
    """

    def __init__(self, shape: Shape, prefix: str, language: Language | None, state: ScanState) -> None:
        self._shape = shape
        self._language = language
        self._state = state
        self._line_prefix = line_prefix_of(prefix)
        self._n_brackets = len(state.open_brackets)
        # The body's own brace: open already, or to be opened behind a header that may have brackets of its own.
        self._n_braces = state.n_braces
        self._header_brackets = _open_at_line_start(prefix, language) + "{" if shape.is_in_header else ""
        self._has_opened = not shape.is_in_header
        self._n_lines = 0

    def read(self, line: str) -> BodyEnd | None:
        """Read the next line; None while the body goes on. After an end, do not read on."""
        end = self._dedent(line) or self.brace(line)
        self._advance(line)
        return end

    def brace(self, line: str) -> BodyEnd | None:
        """The end that a line, or the beginning of one, has in it; does not read it."""
        if self._shape.ends_by != "brace":
            return None
        has_opened = self._has_opened
        for bracket in scan(line, self._language, self._state).brackets:
            has_opened = has_opened or bracket.open_after == self._header_brackets
            if bracket.char == "}" and has_opened and self._is_last(bracket.open_after):
                tail = _AFTER_BRACE.match(line, bracket.offset + 1)
                return BodyEnd(tail.end() if tail else bracket.offset + 1, "the brace that ends the body")
        return None

    def _dedent(self, line: str) -> BodyEnd | None:
        is_code = self._state.region == "code" and len(self._state.open_brackets) <= self._n_brackets
        if self._shape.ends_by != "dedent" or not line.strip() or not is_code:
            return None
        if self._n_lines == 0:
            # What stands before the cursor is part of the line; a header may stand there, which is no dedent.
            if self._line_prefix.strip() or self._shape.is_in_header:
                return None
            line = self._line_prefix + line
        closer = closer_in(line, self._language) if self._n_lines else 0
        is_of_header = self._shape.is_in_header and line.lstrip()[:1] in ")]}" and not closer
        if is_of_header or width_of(line) >= self._shape.floor:
            return None
        return BodyEnd(closer, "a line outside the body")

    def _advance(self, line: str) -> None:
        read = scan(line, self._language, self._state)
        self._state = read.state
        self._has_opened = self._has_opened or any(
            bracket.open_after == self._header_brackets for bracket in read.brackets
        )
        self._n_lines += 1

    def _is_last(self, open_brackets: str) -> bool:
        if self._shape.is_in_header:
            return len(open_brackets) < len(self._header_brackets)
        return open_brackets.count("{") < self._n_braces


def _open_at_line_start(prefix: str, language: Language | None) -> str:
    return state_after(prefix[: prefix.rfind("\n") + 1], language).open_brackets

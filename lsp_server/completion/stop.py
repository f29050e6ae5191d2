"""When generating more is useless, asked after every token; O(new text), or nobody would ask.

It only stops the model: what the text is worth, and where it is cut, is decided by `finish`. Texts have one
kind of line end, as `finish` has.
"""

from __future__ import annotations

from lsp_server.completion.block import BodyReader
from lsp_server.completion.hole import Hole, hole_at
from lsp_server.completion.statement import MAX_STATEMENT_LINES, statement_end
from lsp_server.completion.trigger import Shape
from lsp_server.syntax.languages import Language

MAX_LINES = 24
_MAX_SAME_LINES = 3
_MAX_BLANK_LINES = 2
_MAX_BLANK_LINES_AT_START = 4
_SHORTEST_TELLING_LINE = 3


class StopRule:
    """Fed with the text as it comes; once it has said stop, it says so for ever, and `reason` says why."""

    def __init__(self, hole: Hole, reader: BodyReader) -> None:
        self.reason: str | None = None
        self._hole = hole
        self._shape = hole.shape
        self._reader = reader
        self._max_lines = MAX_STATEMENT_LINES if hole.shape.kind == "statement" else MAX_LINES
        self._whole_lines = ""
        self._pieces: list[str] = []  # of the line that is not finished
        self._n_lines = 0
        self._n_blank_lines = 0
        self._has_text = False
        self._last_line = ""
        self._n_same_lines = 0

    def feed(self, text: str) -> bool:
        """Whether to stop, now that `text` has come after what was fed before."""
        *lines, rest = text.split("\n")
        for line in lines:
            self._add(line + "\n")
        if rest:
            self._add(rest)
        return self.reason is not None

    def _add(self, piece: str) -> None:
        if self.reason is not None:
            return
        self._pieces.append(piece)
        if piece.endswith("\n"):
            line = "".join(self._pieces)
            self._pieces.clear()
            self._whole_lines += line
            self.reason = self._after_line(line)
            self._n_lines += 1
        elif "}" in piece and self._shape.kind == "block":
            end = self._reader.brace("".join(self._pieces))
            self.reason = end.reason if end else None

    def _after_line(self, line: str) -> str | None:
        if not line.strip():
            self._reader.read(line)
            # The rest of the cursor's own line is not a blank line.
            self._n_blank_lines += self._n_lines > 0
            most = _MAX_BLANK_LINES if self._has_text else _MAX_BLANK_LINES_AT_START
            return "blank lines" if self._n_blank_lines >= most else None
        self._has_text = True
        if self._shape.kind == "line":
            return "the line is complete"
        if self._shape.kind == "statement" and statement_end(self._whole_lines, self._hole) is not None:
            return "the statement is complete"
        self._n_blank_lines = 0
        return self._after_code(line)

    def _after_code(self, line: str) -> str | None:
        end = self._reader.read(line)
        if end:
            return end.reason
        whole = ((self._hole.line_prefix if self._n_lines == 0 else "") + line).rstrip()
        if whole == self._hole.next_line and len(whole.strip()) >= _SHORTEST_TELLING_LINE:
            return "the line below was repeated"
        self._n_same_lines = self._n_same_lines + 1 if whole == self._last_line else 1
        self._last_line = whole
        if self._n_same_lines >= _MAX_SAME_LINES:
            return "a line was repeated over and over"
        return "enough lines" if self._n_lines + 1 >= self._max_lines else None


def stop_rule(shape: Shape, prefix: str, suffix: str, language: Language | None) -> StopRule:
    """A fresh rule for one completion at the cursor between `prefix` and `suffix`."""
    hole = hole_at(prefix, suffix, shape, language, ())
    reader = BodyReader(shape, hole.prefix, hole.language, hole.state)
    return StopRule(hole, reader)

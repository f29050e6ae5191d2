r"""A document at one moment, and positions in it.

`offset` is a code point index into `Document.text`. An LSP position counts lines and, in one of three
encodings, units within the line. Lines end at \n, \r\n and \r and nowhere else: str.splitlines would also
split at form feeds and U+2028. Knows nothing of LSP's types.
"""

from __future__ import annotations

import bisect
import operator
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, count
from typing import Literal, TypeAlias

Encoding: TypeAlias = Literal["utf-8", "utf-16", "utf-32"]

_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class Edit:
    """Replace the text between two (line, column) positions, columns in the client's encoding; None: all of it."""

    start: tuple[int, int] | None
    end: tuple[int, int] | None
    text: str


@dataclass(frozen=True)
class Document:
    """One open document, frozen. An edit makes a new one."""

    uri: str
    language_id: str
    version: int
    text: str

    @cached_property
    def line_starts(self) -> LineStarts:
        """Offset of the first character of every line; the first is 0."""
        return LineStarts(_starts(self.text))

    @cached_property
    def newline(self) -> str:
        """The line end that the document uses: its first one."""
        match = _LINE_END.search(self.text)
        return match.group() if match else "\n"

    def line_of(self, offset: int) -> int:
        """Number of the line (from 0) that holds the offset."""
        return bisect.bisect_right(self.line_starts, offset) - 1

    def offset_at(self, line: int, column: int, encoding: Encoding) -> int:
        """Offset of a position. Past the end of a line it is the line's end, past the last line the text's end."""
        if line < 0:
            return 0
        if line >= len(self.line_starts):
            return len(self.text)
        start, end = self._line_span(line)
        if encoding == "utf-32":
            return start + min(max(column, 0), end - start)
        content = self.text[start:end]
        if content.isascii():
            return start + min(max(column, 0), len(content))
        width = 2 if encoding == "utf-16" else 1
        units = _encode(content, encoding)[: max(column, 0) * width]
        return start + len(units.decode(_CODECS[encoding], "ignore"))  # a cut in half character does not count

    def position_at(self, offset: int, encoding: Encoding) -> tuple[int, int]:
        """(line, column) of an offset, the column in the given encoding."""
        offset = min(max(offset, 0), len(self.text))
        line = self.line_of(offset)
        content = self.text[self.line_starts[line] : offset]
        if encoding == "utf-32" or content.isascii():
            return line, len(content)
        return line, len(_encode(content, encoding)) // (2 if encoding == "utf-16" else 1)

    def apply(self, edits: Iterable[Edit], version: int, encoding: Encoding) -> Document:
        """Apply edits one after the other, each to the result of the one before."""
        document = self
        for edit in edits:
            if edit.start is None or edit.end is None:
                document = Document(self.uri, self.language_id, version, edit.text)
            else:
                start = document.offset_at(*edit.start, encoding)
                end = max(start, document.offset_at(*edit.end, encoding))
                document = document._replaced(start, end, edit.text, version)
        return document

    def _replaced(self, start: int, end: int, new: str, version: int) -> Document:
        text = "".join((self.text[:start], new, self.text[end:]))
        document = Document(self.uri, self.language_id, version, text)
        # Only the lines that the edit touches are split anew; from the one before it, whose \r may get a \n.
        first, last = self.line_of(max(start - 1, 0)), self.line_of(end)
        moved = len(text) - len(self.text)
        begin = self.line_starts[first]
        is_last = last + 1 == len(self.line_starts)
        touched = text[begin:] if is_last else text[begin : self.line_starts[last + 1] + moved]
        starts = [begin + start for start in _starts(touched)[1:]]
        if not is_last:
            starts.pop()  # the next line's, which is kept
        vars(document)["line_starts"] = self.line_starts.replaced(first + 1, last + 1, starts, moved)
        return document

    def _line_span(self, line: int) -> tuple[int, int]:
        """Offsets of a line's first character and of its line end."""
        start = self.line_starts[line]
        if line + 1 == len(self.line_starts):
            return start, len(self.text)
        end = self.line_starts[line + 1] - 1
        return start, end - 1 if end > start and self.text[end - 1 : end + 1] == "\r\n" else end


_MOST_CHANGED_LINES = 1_000


class LineStarts:
    """Line starts of a text that share a list with those of the text before an edit; for `len`, index and bisect.

    They are `base[:n_head]`, then `changed`, then `base[tail:]`, each of these `moved`. So an edit costs what the
    lines around it cost, and not those behind them.
    """

    def __init__(
        self, base: list[int], n_head: int = 0, changed: Sequence[int] = (), tail: int = 0, moved: int = 0
    ) -> None:
        self._base, self._n_head, self._changed, self._tail, self._moved = base, n_head, changed, tail, moved
        self._n_before_tail = n_head + len(changed)

    def __len__(self) -> int:
        return self._n_before_tail + len(self._base) - self._tail

    def __getitem__(self, line: int) -> int:
        if line >= self._n_before_tail:
            return self._base[line - self._n_before_tail + self._tail] + self._moved
        return self._base[line] if line < self._n_head else self._changed[line - self._n_head]

    def replaced(self, first: int, end: int, starts: list[int], moved: int) -> LineStarts:
        """Return others: `starts` in place of the lines from first to before end, and all that follow moved."""
        low, high = min(first, self._n_head), max(end, self._n_before_tail)
        if high - low > _MOST_CHANGED_LINES:  # edits far apart share a list no more
            base = [*self._base[: self._n_head], *self._changed]
            base += [start + self._moved for start in self._base[self._tail :]]
            return LineStarts(base, first, starts, end, moved)
        above, below = map(self.__getitem__, range(low, first)), map(self.__getitem__, range(end, high))
        changed = [*above, *starts, *(start + moved for start in below)]
        return LineStarts(self._base, low, changed, high - self._n_before_tail + self._tail, self._moved + moved)


_CODECS = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}


def _encode(text: str, encoding: Encoding) -> bytes:
    """Encode; a lone surrogate, which JSON can carry, counts as one unit of UTF-16."""
    return text.encode(_CODECS[encoding], "surrogatepass")


def _starts(text: str) -> list[int]:
    """Where each line of a text starts; several times as fast with one kind of line end."""
    n_returns = text.count("\r")
    if n_returns and not n_returns == text.count("\r\n") == text.count("\n"):
        return [0, *(match.end() for match in _LINE_END.finditer(text))]
    end = "\r\n" if n_returns else "\n"
    lengths = map(len, text.split(end)[:-1])
    return [0, *map(operator.add, accumulate(lengths), count(len(end), len(end)))]


def unix(text: str) -> str:
    """Return the text with every line end as a single newline, which is what models are trained on."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text

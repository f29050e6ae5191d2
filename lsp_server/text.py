r"""A document at one moment, and positions in it.

`offset` is a code point index into `Document.text`. An LSP position counts lines and, in one of three
encodings, units within the line. Lines end at \n, \r\n and \r and nowhere else: str.splitlines would also
split at form feeds and U+2028. Knows nothing of LSP's types.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
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
    def line_starts(self) -> list[int]:
        """Offset of the first character of every line; the first is 0."""
        text = self.text
        if "\r" not in text:
            return _starts(text, "\n")
        if text.count("\r") == text.count("\r\n") == text.count("\n"):
            return _starts(text, "\r\n")
        return [0, *(match.end() for match in _LINE_END.finditer(text))]

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
            text = edit.text
            if edit.start is not None and edit.end is not None:
                start = document.offset_at(*edit.start, encoding)
                end = max(start, document.offset_at(*edit.end, encoding))
                text = document.text[:start] + edit.text + document.text[end:]
            document = Document(self.uri, self.language_id, version, text)
        return document

    def _line_span(self, line: int) -> tuple[int, int]:
        """Offsets of a line's first character and of its line end."""
        start = self.line_starts[line]
        if line + 1 == len(self.line_starts):
            return start, len(self.text)
        end = self.line_starts[line + 1] - 1
        return start, end - 1 if end > start and self.text[end - 1 : end + 1] == "\r\n" else end


_CODECS = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}


def _encode(text: str, encoding: Encoding) -> bytes:
    """Encode; a lone surrogate, which JSON can carry, counts as one unit of UTF-16."""
    return text.encode(_CODECS[encoding], "surrogatepass")


def _starts(text: str, end: str) -> list[int]:
    """Line starts of a text with one kind of line end; twice as fast as looking for each."""
    lengths = [len(line) + len(end) for line in text.split(end)]
    return [0, *accumulate(lengths[:-1])]


def unix(text: str) -> str:
    """Return the text with every line end as a single newline, which is what models are trained on."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text

"""The headers that a cursor stands below when the window begins inside a long function or class.

Read by indentation from the cursor upwards, in slices: a whole file is never parsed for it.
"""

from __future__ import annotations

import re

from lsp_server.syntax.languages import Language

SLICE_CHARS = 8_192
MAX_SLICES = 16  # what stands further up is not looked for
MAX_HEADER_LINES = 12
MAX_LINE_CHARS = 200
MAX_HEADERS = 8

_HOLDS_NO_BLOCK = re.compile(r"\s*(?:[#*]|//|(?:public|private|protected|default|case\b.*):\s*$)")


def enclosing_headers(text: str, start_of_window: int, offset: int, language: Language | None) -> str:
    """Return the header lines of the blocks around `offset` that end above `start_of_window`, outermost first.

    Whole lines as written, each with a newline, and the first line of a docstring below its own; "" when there are
    none. Line ends are newlines.
    """
    if start_of_window <= 0 or language is None:
        return ""
    width = _indentation(text, offset)
    headers: list[str] = []
    before = offset
    for _ in range(MAX_HEADERS):
        at = _less_indented(text, before, width)
        if at < 0:
            break
        line = _line(text, at)
        width, before = len(line) - len(line.lstrip()), at
        if at >= start_of_window:  # in the window: only its indentation counts
            continue
        header, before = _header(text, at, width, language)
        if header:
            headers.append(header)
        if width == 0:
            break
    return "".join(reversed(headers)).replace("\r", "")


def _indentation(text: str, offset: int) -> int:
    """How far the cursor's line is indented; a blank one as far as the cursor, and at least as the line above."""
    start = text.rfind("\n", 0, offset) + 1
    line = _line(text, start)
    if line.strip():
        return len(line) - len(line.lstrip())
    above = text[max(0, start - SLICE_CHARS) : start].rstrip()
    last = above[above.rfind("\n") + 1 :]
    return max(offset - start, len(last) - len(last.lstrip()))


def _less_indented(text: str, before: int, width: int) -> int:
    """Offset of the last line above `before` that is indented by less than `width`, or -1.

    Blank lines, labels at the margin and preprocessor lines do not count.
    """
    if width == 0:
        return -1
    end = text.rfind("\n", 0, before) + 1
    for _ in range(MAX_SLICES):
        start = text.rfind("\n", 0, max(0, end - SLICE_CHARS)) + 1
        at = end
        for line in reversed(text[start:end].split("\n")[:-1]):
            at -= len(line) + 1
            if line[:width].strip() and not _HOLDS_NO_BLOCK.match(line):
                return at
        if start == 0:
            return -1
        end = start
    return -1


def _header(text: str, at: int, width: int, language: Language) -> tuple[str, int]:
    """The header that ends on the line at `at`, from its first line, and where that is; "" for what is none."""
    lines = [_line(text, at)]
    first = at
    opener = language.block_opener
    is_brace_alone = lines[0].strip() == opener
    while len(lines) < MAX_HEADER_LINES and first > 0:
        head = lines[0].strip()
        is_tail = head[:1] in ")]}" or head == opener or (is_brace_alone and len(lines) == 1)
        if not is_tail and len(lines[0]) - len(lines[0].lstrip()) <= width:
            break
        first = text.rfind("\n", 0, first - 1) + 1
        lines.insert(0, _line(text, first))
    if len(lines) == MAX_HEADER_LINES:  # no signature: the end of another block, as in `} else {`
        lines, first = lines[-1:], at
    end = at + len(_line(text, at))
    if opener not in "".join(lines):
        return "", first
    lines += _docstring(text, end, language)
    return "".join(f"{line.rstrip()[:MAX_LINE_CHARS]}\n" for line in lines), first


def _docstring(text: str, end_of_header: int, language: Language) -> list[str]:
    """The first line of the docstring below a header, closed."""
    below = _line(text, end_of_header + 1)
    marks = [quote.quote for quote in language.strings if quote.spans == "lines"]
    mark = next((mark for mark in marks if below.lstrip().startswith(mark)), None)
    if language.block_style != "indent" or mark is None:
        return []
    return [below.rstrip() if below.count(mark) > 1 else f"{below.rstrip()}{mark}"]


def _line(text: str, start: int) -> str:
    end = text.find("\n", start)
    return text[start : end if end >= 0 else len(text)]

"""Markdown that an editor may render: what a model wrote is made harmless, what it is shown cannot leave its fence.

No HTML, no images, no links but to the web, to mail and to files beside it, no link definitions. The text must mean
to every renderer what it means here, so a fence always begins at the margin, and a code span ends on its line.
"""

from __future__ import annotations

import re

_FENCE = re.compile(r"( *)(`{3,}(?!.*`)|~{3,})(.*)")
_CLOSING = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*")
_INFO = re.compile(r"[\w+#.-]*")
_TURN = re.compile(r" {0,3}#{1,6}[ \t]+(?:you|kruk)\b", re.IGNORECASE)
_MAYBE_BLOCK = re.compile(r"(?:[# \t]|```|~~~).*|`{0,2}|~{0,2}")  # the whole line decides what it is
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_DESTINATION = re.compile(r"(?:(?:https?://|mailto:)[^\s()<>\\`|]*|[\w./~#?=@%+-]*)\)", re.IGNORECASE)
_TOKEN = re.compile(r"\\[!-/:-@\[-`{-~]|`+|<|!\[|\]\(|\]:|[^\\`<!\]]+|[\\!\]]")
_SPAN = re.compile(r"(`+)[^\n]*?\1")
_CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """A whole text, made harmless."""
    stream = Harmless()
    return stream.feed(text) + stream.end()


def fenced(text: str, language: str = "") -> str:
    """Quote a text as a code block that nothing in it can close."""
    runs = re.findall("`{3,}", text)
    fence = "`" * max([3, *(len(run) + 1 for run in runs)])
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def printable(text: str) -> str:
    """A text without control characters, which a terminal would obey."""
    return _CONTROL.sub("", text)


def without_code(text: str) -> str:
    """A text without its code blocks and code spans."""
    fences = Fences()
    lines = ["" if fences.see(line) else line for line in text.split("\n")]
    return _SPAN.sub("", "\n".join(lines))


class Fences:
    """Whether the lines so far leave a code block open."""

    def __init__(self) -> None:
        self.open = ""

    def see(self, line: str) -> bool:
        """Take the next line, without its end; says whether it belongs to a code block, its fences too."""
        if self.open:
            if (closing := _CLOSING.fullmatch(line)) and closing[1].startswith(self.open):
                self.open = ""
            return True
        if opening := _FENCE.fullmatch(line):
            self.open = opening[2]
        return bool(self.open)


class Harmless:
    """The same for a text that comes in pieces: what `feed` and at last `end` return, joined, is harmless.

    A piece is held back only as far as what follows could change its meaning.
    """

    def __init__(self) -> None:
        self._fences = Fences()
        self._indent = 0  # of the fence that is open, taken from every line in it
        self._held = ""
        self._is_line_begun = False

    def feed(self, text: str) -> str:
        """Take the next piece; returns what may be shown."""
        *lines, rest = (self._held + printable(text)).split("\n")
        out = []
        for line in lines:
            out.append(self._line(line) + "\n")
            self._is_line_begun = False
        self._held = rest
        if not self._is_line_begun and (self._fences.open or _MAYBE_BLOCK.fullmatch(rest)):
            return "".join(out)
        shown, self._held = _inline(rest, is_whole=False)
        self._is_line_begun |= bool(shown)
        return "".join([*out, shown])

    def end(self) -> str:
        """Return what was held back, and close a code block that is open."""
        out = self._line(self._held)
        is_at_margin = not out and not self._is_line_begun
        if self._fences.open:
            out += self._fences.open if is_at_margin else f"\n{self._fences.open}"
        self.__init__()  # type: ignore[misc]
        return out

    def _line(self, line: str) -> str:
        """A line's rest, up to its end."""
        if self._is_line_begun:
            return _inline(line, is_whole=True)[0]
        if self._fences.open:
            n = min(self._indent, len(line) - len(line.lstrip(" ")))
            self._fences.see(line[n:])
            return line[n:]
        if self._fences.see(line):
            opening = _FENCE.fullmatch(line)
            assert opening
            self._indent = len(opening[1])
            info = _INFO.match(opening[3].strip())
            return opening[2] + (info[0] if info else "")
        if _TURN.match(line):
            n = len(line) - len(line.lstrip(" "))
            return line[:n] + "\\" + _inline(line[n:], is_whole=True)[0]
        return _inline(line, is_whole=True)[0]


def _inline(text: str, is_whole: bool) -> tuple[str, str]:
    """Make text outside of code blocks harmless. Returns it, and the end of it that what follows may change.

    is_whole: nothing follows on this line.
    """
    out: list[str] = []
    at = 0
    while match := _TOKEN.match(text, at):
        token, after = match[0], text[match.end() :]
        if not is_whole and (not after or not _is_settled(token, after)):
            return _split_last(out, text, at, token)
        if token[0] == "`":
            end = _span_end(after, token)
            if end < 0:
                out.append("".join(f"\\{tick}" for tick in token))
            else:
                out.append(token + after[:end])
                at = match.end() + end
                continue
        elif token == "<":
            out.append("\\<" if _TAG.match(text, at) else "<")
        elif token == "![":
            out.append("\\![")
        elif token == "](":
            out.append("](" if _DESTINATION.match(after) else "]\\(")
        elif token == "]:":
            out.append("]\\:")
        else:
            out.append(token)
        at = match.end()
    return "".join(out), ""


def _is_settled(token: str, after: str) -> bool:
    """Whether what is here already says what a token means."""
    if token[0] == "`":
        return any(len(run) == len(token) for run in re.findall("`+(?=[^`])", after))
    if token == "](":
        return bool(re.search(r"[\s()<>]", after))
    return True


def _split_last(out: list[str], text: str, at: int, token: str) -> tuple[str, str]:
    """Plain text may be shown to its end; anything else waits."""
    if token[0] in "\\`<!]":
        return "".join(out), text[at:]
    return "".join(out) + token, ""


def _span_end(after: str, ticks: str) -> int:
    """Where the code span that begins with `ticks` ends in what follows them; -1 when it does not.

    A border of a table's cell ends it as well, so one that has both a border and a mark is none.
    """
    for run in re.finditer("`+", after):
        if len(run[0]) == len(ticks):
            inside = after[: run.start()]
            return -1 if "|" in inside and re.search(r"[<\[\]]", inside) else run.end()
    return -1

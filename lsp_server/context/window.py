"""Which part of the file the model sees, and where the anchor stands.

The prompt of an anchored completion is `[PRE] head [SUF] suffix [MID] tail`: head runs from the window's
start to the anchor, tail from the anchor to the cursor. While the user types below the anchor only the tail
grows, at the end of the prompt, so the KV cache stays exact and a keystroke costs its own tokens. A window
is a pure function of text, cursor and the window before; it moves in coarse steps.

There are two of them around one anchor: the full window, and a near one that is small enough to be evaluated
while somebody waits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lsp_server.context.headers import enclosing_headers
from lsp_server.syntax.languages import Language

CHARS_PER_TOKEN = 3  # code, careful: real counts are checked when the prompt is made
SUFFIX_SHARE = 4  # a quarter of the budget is for what follows the cursor
START_STEP_LINES = 32  # the window's start only stands on every 32nd line
MAX_TAIL_LINES, MAX_TAIL_CHARS = 24, 1600  # past these the anchor is put anew
NEAR_CHARS = 700  # about 175 tokens: a second on two cores with a 0.5B model
NEAR_START_STEP_LINES = 8
LEAST_NEAR_HEAD_CHARS = 200
LONG_LINE_STEP = 512  # within an overlong line, edges move by so many characters
AGED_TAIL_LINES = MAX_TAIL_LINES // 2  # past these a new anchor is prepared in idle time

_CLOSERS = re.compile(r"[)\]}>\"'`]{1,8}[;:,]?[ \t]*(?=\r?\n|\Z)")


@dataclass(frozen=True)
class Window:
    """Offsets into one text: start <= anchor <= cursor <= resume <= end.

    Between cursor and resume stand closing brackets that an editor has put there; they come and go while
    somebody types, and with them in the suffix all of it would be evaluated again each time.
    """

    start: int
    anchor: int
    cursor: int
    resume: int
    end: int

    def head(self, text: str) -> str:
        """Text from the window's start to the anchor."""
        return text[self.start : self.anchor]

    def tail(self, text: str) -> str:
        """Text from the anchor to the cursor."""
        return text[self.anchor : self.cursor]

    def suffix(self, text: str) -> str:
        """Text behind the cursor, up to the window's end."""
        return text[self.resume : self.end]


@dataclass(frozen=True)
class Anchored:
    """The windows that were last used in a document, with the full one's head to tell whether they still stand."""

    window: Window
    near: Window
    head: str
    above: str = ""  # headers of the blocks that the full window begins inside of
    near_above: str = ""

    def holds(self, text: str, cursor: int) -> bool:
        """Whether the cursor is still near below the anchor, and nothing above it changed."""
        anchor = self.window.anchor
        return (
            anchor <= cursor <= anchor + MAX_TAIL_CHARS
            and text.startswith(self.head, self.window.start)
            and text.count("\n", anchor, cursor) <= MAX_TAIL_LINES
        )

    def is_aged(self, text: str) -> bool:
        """Whether the cursor has come so far from the anchor that it will soon be put anew."""
        anchor, cursor = self.window.anchor, self.window.cursor
        return cursor > anchor + MAX_TAIL_CHARS // 2 or text.count("\n", anchor, cursor) > AGED_TAIL_LINES


def place(
    text: str,
    cursor: int,
    n_budget_tokens: int,
    anchor_lines: int,
    before: Anchored | None,
    language: Language | None = None,
) -> Anchored:
    """Put the windows: those before as long as they hold, else new ones with an anchor above the cursor."""
    n_chars = n_budget_tokens * CHARS_PER_TOKEN
    closers = _CLOSERS.match(text, cursor)
    resume = closers.end() if closers else cursor
    end = _end(text, resume, n_chars // SUFFIX_SHARE)
    near_end = min(end, _end(text, resume, NEAR_CHARS // SUFFIX_SHARE))
    if before and before.holds(text, cursor):
        start, near_start, anchor, head = before.window.start, before.near.start, before.window.anchor, before.head
        above, near_above = before.above, before.near_above
    else:
        anchor = _anchor(text, cursor, anchor_lines)
        start = _start(text, anchor, n_chars - n_chars // SUFFIX_SHARE, START_STEP_LINES)
        n_tail = max(0, text.rfind("\n", anchor, cursor) + 1 - anchor)  # without the line that is being typed
        n_near = max(NEAR_CHARS - NEAR_CHARS // SUFFIX_SHARE - n_tail, LEAST_NEAR_HEAD_CHARS)
        near_start = max(start, _start(text, anchor, n_near, NEAR_START_STEP_LINES))
        head = text[start:anchor]
        above = enclosing_headers(text, start, anchor, language)
        near_above = enclosing_headers(text, near_start, anchor, language)
    return Anchored(
        Window(start, anchor, cursor, resume, end),
        Window(near_start, anchor, cursor, resume, near_end),
        head,
        above,
        near_above,
    )


def _anchor(text: str, cursor: int, n_lines: int) -> int:
    """Beginning of the line `n_lines` above the cursor's, or nearer when those lines are long."""
    line_start = text.rfind("\n", 0, cursor) + 1
    if cursor - line_start > MAX_TAIL_CHARS // 2:
        into = cursor - line_start - MAX_TAIL_CHARS // 2
        return line_start + into // LONG_LINE_STEP * LONG_LINE_STEP
    anchor = line_start
    for _ in range(n_lines):
        if anchor == 0:
            break
        above = text.rfind("\n", 0, anchor - 1) + 1
        if cursor - above > MAX_TAIL_CHARS // 2:
            break
        anchor = above
    return anchor


def _start(text: str, anchor: int, n_chars: int, n_step_lines: int) -> int:
    """First line of a window: at most `n_chars` before the anchor, on a multiple of `n_step_lines`."""
    if anchor <= n_chars:
        return 0
    earliest = anchor - n_chars
    line = text.count("\n", 0, earliest) + 1
    n_skipped = -line % n_step_lines
    start = text.find("\n", earliest, anchor) + 1
    coarse = start
    for _ in range(n_skipped):
        following = text.find("\n", coarse, anchor) + 1
        if not following or anchor - following < n_chars // 2:  # long lines: half the window must remain
            break
        coarse = following
    if not start:  # one line longer than the window
        return earliest // LONG_LINE_STEP * LONG_LINE_STEP
    return coarse


def _end(text: str, cursor: int, n_chars: int) -> int:
    """End of the window: at most `n_chars` behind the cursor, at the end of a line where one is near."""
    end = cursor + n_chars
    if end >= len(text):
        return len(text)
    line_end = text.rfind("\n", cursor, end) + 1
    return line_end if line_end > cursor + n_chars // 2 else end

"""Filters against the commonest fault of small models: saying again what is there already."""

from __future__ import annotations

import re

from lsp_server.completion.hole import Hole
from lsp_server.completion.layout import closer_in, width_of

_LONGEST_OVERLAP = 400
_N_OVERLAPS = 8  # tried; a text that overlaps in more ways is a row of the same character
_LONGEST_PERIOD = 6
_N_COPIES = 3
_LONGEST_RUN = 120
_RUN = re.compile(r"(.{2,30}?)\1{5,}", re.S)
_N_TELLING = 2
_ENDS = " \t)]}\"'`,;"
_WORD = re.compile(r"\w")
_WORDS = re.compile(r"\w\w")


def loop(text: str, hole: Hole) -> str:
    """Cut where the text begins to go round in circles, or to repeat the lines above it."""
    lines = hole.whole_lines(text)
    for period in range(2, _LONGEST_PERIOD + 1):
        first, second = lines[:period], lines[period : 2 * period]
        above = hole.recent[-period:]
        is_old = first == above and (second == first or hole.recent[-2 * period : -period] == above)
        if is_old and _tells("".join(first)):
            return ""
    for start in range(len(lines)):
        for period in range(1, _LONGEST_PERIOD + 1):
            copies = [lines[start + i * period : start + (i + 1) * period] for i in range(_N_COPIES)]
            if copies[0] == copies[1] == copies[2] and _tells("".join(copies[0])):
                return "\n".join(text.split("\n")[: start + period])
    run = _RUN.search(text)
    if run and len(run[0]) >= _LONGEST_RUN and _tells(run[1]):
        return text[: run.end(1)]
    return text


def line_above(text: str, hole: Hole) -> str:
    """Drop a single line that says what the line directly above it says."""
    lines = hole.whole_lines(text)
    is_same = len(lines) == 1 and hole.recent[-1:] == lines
    return "" if is_same and not hole.line_suffix.strip() and _tells(lines[0]) else text


def lines_below(text: str, hole: Hole) -> str:
    """Drop from the text the lines that stand below the cursor already."""
    if hole.line_suffix.strip() or not hole.below or not text.strip():
        return text
    lines = hole.whole_lines(text)
    body = lines[1] if text.startswith("\n") and len(lines) > 1 else lines[0]
    numbered = [(i, line) for i, line in enumerate(lines) if line]
    for n_lines in range(min(len(numbered), len(hole.below)), 0, -1):
        tail = numbered[-n_lines:]
        if [line for _i, line in tail] == hole.below[:n_lines]:
            cut = _first_lines(text, tail[0][0])
            is_same_line = not cut.strip() and hole.line_prefix.strip() and _tells(tail[0][1])
            if is_same_line or _closes_again(tail, body) or hole.imbalance(cut) <= hole.imbalance(text):
                return cut
    for at, (i, line) in enumerate(numbered):
        following = [other for _i, other in numbered[at : at + 2]]
        if line == hole.below[0] and following == hole.below[:2] and len(following) == 2:
            return _first_lines(text, i)
    i, last = numbered[-1]
    # `}` above `} else {`
    is_begun = width_of(last) == width_of(hole.next_line) and hole.next_line.startswith(last)
    if is_begun and _closes_again(numbered[-1:], body):
        return _first_lines(text, i)
    # Hardly a line in a thousand of real code is the next one at another depth.
    says_next = last.strip() == hole.next_line.strip() and _WORDS.search(last) and not closer_in(last, hole.language)
    return _first_lines(text, i) if says_next else text


def rest_of_line(text: str, hole: Hole) -> str:
    """Drop the longest tail of the text that equals the head of what follows on the line.

    Unless the brackets say that both are needed: `x)` between `f(g(` and `)`.
    """
    if not hole.line_suffix.strip():
        return text
    stripped = text.rstrip()
    head = hole.suffix[:_LONGEST_OVERLAP]
    sizes = [size for size in range(min(len(stripped), len(head)), 0, -1) if stripped.endswith(head[:size])]
    for size in sizes[:_N_OVERLAPS]:
        if size == 1 and not _may_end(hole):
            continue
        kept = stripped[:-size]
        before = kept[-1:] or hole.line_prefix[-1:]
        splits_word = bool(_WORDS.match(before + head[0]) or _WORDS.match(head[size - 1 : size + 1]))
        # In a comment or string, a row of dashes or quotes goes on by nature.
        is_ruler = hole.state.region != "code" and not _WORD.search(head[:size])
        if not splits_word and hole.imbalance(kept) + is_ruler <= hole.imbalance(text):
            return kept
    return text


def _closes_again(tail: list[tuple[int, str]], body: str) -> bool:
    """Whether the last lines only close blocks around `body`, as the same lines below do: no block ends twice.

    The brackets alone do not show it, when what is then closed too early ends far below.
    """
    return not any(_WORD.search(line) for _i, line in tail) and width_of(tail[0][1]) < width_of(body)


def _may_end(hole: Hole) -> bool:
    """Whether the first character after the cursor is a thing of its own, not half of `==` or `::`."""
    char = hole.suffix[0]
    return char in _ENDS or (char == ":" and hole.line_suffix.strip() == ":")


def _first_lines(text: str, n_lines: int) -> str:
    return "\n".join(text.split("\n")[:n_lines])


def _tells(text: str) -> bool:
    """Whether a text has enough in it that seeing it twice means something."""
    return len(_WORD.findall(text)) >= _N_TELLING

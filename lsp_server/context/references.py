"""The names near a cursor, weighted by how near, and what the text says of a name's type.

Reads lines with regular expressions: the text around a cursor is seldom whole enough for a tree.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_LINES = 160  # on either side of the cursor
MAX_LINE_CHARS = 400
TYPING_CHARS = 100_000
MOST_NESTED = 3  # calls in a call's brackets before a cursor's dot
HINT_LINES, MIN_HINT_CHARS = 8, 3

_CHAIN = re.compile(r"[^\W\d]\w*(?:(?:\?\.|\.|->|::)[^\W\d]\w*)*")
_JOINT = re.compile(r"\?\.|\.|->|::")
_BRACKETS = re.compile(r"\([^()\n]*\)")
_SUBWORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_AT_CURSOR = re.compile(r"((?:[^\W\d]\w*(?:\?\.|\.|->|::))*)([^\W\d]\w*)?\Z")


class Name(NamedTuple):
    """A name, and what stands before its dot: "" for none."""

    receiver: str
    name: str


class Cursor(NamedTuple):
    """What is being typed: the parts before the last dot, and the beginning of a word after it."""

    chain: tuple[str, ...]
    word: str


def at_cursor(text: str, offset: int) -> Cursor:
    """The word under way and what it is a member of; of a call, its name: `a.b(c).d` is d of b of a."""
    line = text[max(text.rfind("\n", 0, offset) + 1, offset - MAX_LINE_CHARS) : offset]
    if line.endswith(")"):
        return Cursor((), "")
    for _ in range(MOST_NESTED):
        line, n_calls = _BRACKETS.subn("", line)
        if not n_calls:
            break
    match = _AT_CURSOR.search(line)
    if not match:
        return Cursor((), "")
    return Cursor(tuple(filter(None, _JOINT.split(match[1]))), match[2] or "")


def weighted_names(text: str, offset: int, first_line: int, comment: str) -> dict[Name, float]:
    """The names around a cursor and how much each matters: 8 on its line, down to half a point far away.

    `first_line` is where the enclosing function begins: what is above it matters least. The word at the cursor is
    not yet a name.
    """
    weights: dict[Name, float] = {}
    word_start = offset - len(at_cursor(text, offset).word)
    before = text[:word_start].split("\n")
    cursor_line = len(before) - 1
    for distance, line in enumerate(reversed(before[-MAX_LINES:])):
        above = 4.0 if distance <= 3 else 2.5 if distance <= 12 else 1.5
        number = cursor_line - distance
        weight = 8.0 if distance == 0 else above if number > first_line else 4.0 if number == first_line else 0.5
        _add(weights, line, weight, comment if distance > 3 else "")
    after = text[offset : offset + MAX_LINES * 80].split("\n")
    for distance, line in enumerate(after[:MAX_LINES]):
        _add(weights, line, 6.0 if distance == 0 else 2.0 if distance <= 6 else 0.5, comment if distance else "")
    return weights


def _add(weights: dict[Name, float], line: str, weight: float, comment: str) -> None:
    if comment and line.lstrip().startswith(comment):
        return
    for chain in _CHAIN.findall(line[-MAX_LINE_CHARS:]):
        receiver = ""
        for part in _JOINT.split(chain):
            name = Name(receiver, part)
            weights[name] = max(weight, weights.get(name, 0.0))
            receiver = part


def hints(text: str, offset: int, header: str) -> dict[str, float]:
    """The parts of words on the lines around a cursor and in the enclosing function's header, and how near: up to 1.

    A name that is not yet written is often made of them: `expiry = storage.get_token_expiry()`.
    """
    above = text[:offset].split("\n")[-HINT_LINES:]
    rest, *below = text[offset : offset + HINT_LINES * 200].split("\n")[: HINT_LINES // 2]
    weighted = [(1.0, above[-1]), (1.0, rest), (0.6, header)]
    weighted += [(0.6 if n <= 3 else 0.3, line) for n, line in enumerate(reversed(above[:-1]), 1)]
    weighted += [(0.4, line) for line in below]
    found: dict[str, float] = {}
    for weight, line in weighted:
        for part in subwords(line[-MAX_LINE_CHARS:]):
            found[part] = max(weight, found.get(part, 0.0))
    return found


def subwords(text: str) -> list[str]:
    """The parts of names, `getTokens` being `get` and `token`; short ones left out."""
    parts = (part.lower() for part in _SUBWORD.findall(text))
    return [
        part[:-1] if part[-1] == "s" and len(part) > MIN_HINT_CHARS else part
        for part in parts
        if len(part) >= MIN_HINT_CHARS
    ]


def typings(name: str, text: str, offset: int, patterns: tuple[str, ...]) -> list[str]:
    """The types that the text gives a name, the nearest above the cursor first."""
    start = max(0, offset - TYPING_CHARS)
    part = text[start : offset + TYPING_CHARS // 4]
    found = [
        (match.start() > offset - start, abs(offset - start - match.start()), match["type"].strip())
        for line in _lines_with(name, part)
        for pattern in patterns
        for match in _typing(pattern, name).finditer(part, *line)
    ]
    return list(dict.fromkeys(written for _is_below, _distance, written in sorted(found) if written))


def _lines_with(name: str, text: str) -> Iterator[tuple[int, int]]:
    """Start and end of every line that has a name in it: to run each pattern over the whole text is slow."""
    at = text.find(name)
    while at >= 0:
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        yield text.rfind("\n", 0, at) + 1, end
        at = text.find(name, end)


@functools.lru_cache(maxsize=1024)
def _typing(pattern: str, name: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("{name}", re.escape(name)))

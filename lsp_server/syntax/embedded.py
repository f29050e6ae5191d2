"""Which language a place in a text is in: a code fence, a script and a style are in their own.

Says it by the patterns of the languages' rows alone, as a person would who looks for the fence above.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lsp_server.syntax.languages import Embedded, Language, language_for
from lsp_server.syntax.tree import WINDOW_AFTER

_REACH = 200_000  # code points above the cursor in which a fence is looked for


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a text, [start, end), in one language, or in one that Kruk does not know."""

    language: Language | None
    start: int
    end: int


def part_at(text: str, offset: int, language: Language | None) -> Part:
    """The innermost piece that `offset` is in; all of a text that embeds nothing there."""
    part = Part(language, 0, len(text))
    while part.language and (inner := _piece_at(text, offset, part)):
        part = inner
    return part


def _piece_at(text: str, offset: int, outer: Part) -> Part | None:
    # A piece that begins out of reach is not seen; one that reaches further down is cut, which harms nobody.
    first = max(outer.start, text.rfind("\n", 0, max(0, offset - _REACH)) + 1)
    last = min(outer.end, offset + WINDOW_AFTER)
    for embedded in outer.language.embeds if outer.language else ():
        for match in re.compile(embedded.pattern, re.M | re.S).finditer(text[first:last]):
            start, end = (first + bound for bound in match.span("code"))
            if start > offset:
                break
            # Where a piece ends, what ends it follows on the line; unless nothing has ended it yet.
            if offset < end or offset == end == last:
                return Part(_language_of(match, embedded), start, end)
    return None


def _language_of(match: re.Match[str], embedded: Embedded) -> Language | None:
    name = match.groupdict().get("language") or embedded.language
    return language_for(name.lower(), f"_.{name}")

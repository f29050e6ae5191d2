"""Brackets, strings and comments by reading the text once, with no syntax tree.

Right enough for text that is cut off or half typed, where a tree guesses, and cheap enough for every token of
a model. Knows only what a language's row says about its quotes and comment marks: a JavaScript regular
expression in an unusual place that holds a lone quote is misread up to the end of its line.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lsp_server.syntax.languages import Language, Quote

Region = Literal["code", "string", "comment"]

CLOSER_OF = {"(": ")", "[": "]", "{": "}"}
_OPENER_OF = {closer: opener for opener, closer in CLOSER_OF.items()}


@dataclass(frozen=True, slots=True)
class ScanState:
    """Where a scan stands.

    Attributes:
        open_brackets: The brackets that are open, outermost first, e.g. "{(".
        region: What the next character would be in.
        inside: Which of the language's literals or comments is open, as an index; None in code.
        n_faults: Closers that closed nothing, brackets left open by a closer further out, and strings that
            ended with their line instead of their quote.
    """

    open_brackets: str = ""
    region: Region = "code"
    inside: int | None = None
    n_faults: int = 0

    @property
    def n_braces(self) -> int:
        """How many of the open brackets are braces."""
        return self.open_brackets.count("{")


@dataclass(frozen=True, slots=True)
class Bracket:
    """One bracket of the code: its offset in the scanned text, and the state's open brackets after it."""

    offset: int
    char: str
    open_after: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan found: the state at the end of the text, and the brackets on the way."""

    state: ScanState
    brackets: tuple[Bracket, ...]


START = ScanState()
_DEEPEST = 256  # what is open further out is forgotten: only a hostile text has so much


def scan(text: str, language: Language | None, state: ScanState = START) -> Scan:
    """Read `text` on from `state`.

    A text may be scanned in pieces if they are cut at line ends: a quote or comment mark of several
    characters is not recognised across a cut.
    """
    lexer = _lexer(language)
    stack = list(state.open_brackets)
    n_faults = state.n_faults
    brackets = []
    inside: int | None = None
    for offset, token, fault, still_open in lexer.tokens(text, state.inside):
        n_faults += fault
        inside = still_open
        if token in CLOSER_OF:
            stack.append(token)
            if len(stack) > _DEEPEST:
                del stack[0]
        elif token in _OPENER_OF:
            opener = _OPENER_OF[token]
            if opener in stack:
                while stack.pop() != opener:
                    n_faults += 1
            else:
                n_faults += 1
        else:
            continue
        brackets.append(Bracket(offset, token, "".join(stack)))
    region: Region = "code" if inside is None else lexer.kinds[inside].region
    return Scan(ScanState("".join(stack), region, inside, n_faults), tuple(brackets))


@functools.lru_cache(maxsize=16)
def state_after(text: str, language: Language | None) -> ScanState:
    """Where a scan of the whole text ends; remembered, since each room asks it of the same prefix."""
    return scan(text, language).state


@dataclass(frozen=True, slots=True)
class _Kind:
    """A literal or comment: `rest` matches from after its opening mark; group 1 is the closing mark."""

    region: Region
    open: str
    rest: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class _Lexer:
    kinds: tuple[_Kind, ...]
    starts: re.Pattern[str]

    def tokens(self, text: str, inside: int | None) -> Iterator[tuple[int, str, int, int | None]]:
        """Yield (offset, mark, fault, kind still open at the end of the text)."""
        at = 0
        if inside is not None:
            at, fault, still_open = self._rest(text, 0, inside)
            yield 0, "", fault, still_open
        while match := self.starts.search(text, at):
            at = match.end()
            group = match.lastindex
            if group is None:
                yield match.start(), match[0], 0, None
            elif group <= len(self.kinds):
                at, fault, still_open = self._rest(text, at, group - 1)
                yield match.start(), "", fault, still_open

    def _rest(self, text: str, at: int, index: int) -> tuple[int, int, int | None]:
        match = self.kinds[index].rest.match(text, at)
        if match is None or match[1] is not None:
            return (match.end() if match else len(text)), 0, None
        is_at_end = match.end() == len(text)
        is_fault = not is_at_end and self.kinds[index].region == "string"
        return match.end(), int(is_fault), index if is_at_end else None


_ANY_TEXT = (Quote('"', "line"),)


@functools.cache
def _lexer(language: Language | None) -> _Lexer:
    quotes = language.strings if language else _ANY_TEXT
    kinds = []
    patterns = language.literals if language else ()
    literals = [pattern.pattern for pattern in patterns]
    if language and language.line_comment:
        kinds.append(_Kind("comment", language.line_comment, re.compile(r"[^\n]*(?:(\n)|\Z)")))
    if language and language.block_comment:
        close = re.escape(language.block_comment.close)
        to_close = re.compile(rf".*?(?:({close})|\Z)", re.S)
        kinds.append(_Kind("comment", language.block_comment.open, to_close))
    for quote in quotes:
        q = re.escape(quote.quote)
        if quote.spans == "character":
            # A text that ends in the middle of one: `'{` is not yet known to be no brace.
            literals.append(rf"{q}(?:(?:\\.[^\n{q}]{{0,10}}|[^\\\n{q}]){q}|\\?[^\n{q}]?\Z)")
            continue
        stop = (q if len(quote.quote) == 1 else "") + (r"\\" if quote.escapes else "")
        stop += r"\n" if quote.spans == "line" else ""
        other = f"[^{stop}]" if stop else "."
        body = f"{other}+" if len(quote.quote) == 1 else f"(?:(?!{q}){other})+"
        body += r"|\\." if quote.escapes else ""
        ends = rf"({q})|(?=\n)|\\?\Z" if quote.spans == "line" else rf"({q})|\\?\Z"
        rest = f"(?:{body})*?(?:{ends})"
        kinds.append(_Kind("string", quote.quote, re.compile(rest, re.S)))
    # In the row's order, which has the longest mark first: a triple quote is no empty string and a quote.
    # A whole literal is skipped: its group has no kind.
    starts = [
        *(f"({re.escape(kind.open)})" for kind in kinds),
        *(f"({literal})" for literal in literals),
        r"[()\[\]{}]",
    ]
    marks = [*(kind.open for kind in kinds), *(q.quote for q in quotes), *(p.first for p in patterns)]
    firsts = re.escape("".join({mark[0] for mark in marks}))
    # The look-ahead changes nothing but the time: most characters fail at once, not at each alternative.
    return _Lexer(tuple(kinds), re.compile(rf"(?=[()\[\]{{}}{firsts}])(?:{'|'.join(starts)})", re.S))

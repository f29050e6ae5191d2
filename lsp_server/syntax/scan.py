"""Brackets, strings and comments by reading the text once, with no syntax tree.

Right enough for text that is cut off or half typed, where a tree guesses, and cheap enough for every token of
a model. Knows only what a language's row says about its quotes and comment marks: a JavaScript regular
expression in an unusual place that holds a lone quote is misread up to the end of its line.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

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


class Bracket(NamedTuple):
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
    brackets: list[Bracket] = []
    return Scan(_read(text, language, state, brackets), tuple(brackets))


@functools.lru_cache(maxsize=64)
def state_after(text: str, language: Language | None, state: ScanState = START) -> ScanState:
    """Where a scan ends; remembered, since each room asks it of the same texts."""
    return _read(text, language, state, None)


def _read(text: str, language: Language | None, state: ScanState, brackets: list[Bracket] | None) -> ScanState:
    """Read to the end; the brackets on the way into the list, if there is one."""
    lexer = _lexer(language)
    stack = list(state.open_brackets)
    n_faults = state.n_faults
    inside = state.inside
    at, n_ends = 0, 2 * len(lexer.kinds)
    if inside is not None:
        rest = lexer.kinds[inside].rest.match(text)
        at = rest.end() if rest else len(text)
        if rest is None or rest.lastindex:
            inside = None
        elif at < len(text):
            n_faults += lexer.kinds[inside].region == "string"
            inside = None
    for match in lexer.marks.finditer(text, at):
        group = match.lastindex or 0
        if group <= n_ends:
            if group % 2:  # opened and not closed
                kind = group // 2
                if match.end() == len(text):
                    inside = kind
                else:
                    n_faults += lexer.kinds[kind].region == "string"
            continue
        char = match[0]
        opener = _OPENER_OF.get(char)
        if opener is None:
            stack.append(char)
            if len(stack) > _DEEPEST:
                del stack[0]
        elif opener in stack:
            while stack.pop() != opener:
                n_faults += 1
        else:
            n_faults += 1
        if brackets is not None:
            brackets.append(Bracket(match.start(), char, "".join(stack)))
    region: Region = "code" if inside is None else lexer.kinds[inside].region
    return ScanState("".join(stack), region, inside, n_faults)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A literal or comment: `rest` matches from after its opening mark; group 1 is the closing mark."""

    region: Region
    open: str
    rest: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class _Lexer:
    """`marks` finds what counts: each kind (groups 2i + 1 and 2i + 2 are its ends), whole literals, brackets."""

    kinds: tuple[_Kind, ...]
    marks: re.Pattern[str]


_ANY_TEXT = (Quote('"', "line"),)


@functools.cache
def _lexer(language: Language | None) -> _Lexer:
    quotes = language.strings if language else _ANY_TEXT
    kinds = []
    patterns = language.literals if language else ()
    literals = [pattern.pattern for pattern in patterns]
    if language and language.block_comment:  # first: Lua's `--[[` begins as its line comment does
        close = re.escape(language.block_comment.close)
        to_close = re.compile(rf".*?(?:({close})|\Z)", re.S)
        kinds.append(_Kind("comment", language.block_comment.open, to_close))
    if language and language.line_comment:
        kinds.append(_Kind("comment", language.line_comment, re.compile(r"[^\n]*(?:(\n)|\Z)")))
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
    alternatives = [
        *(f"({re.escape(kind.open)}){kind.rest.pattern}" for kind in kinds),
        *literals,
        r"([()\[\]{}])",
    ]
    marks = [*(kind.open for kind in kinds), *(q.quote for q in quotes), *(p.first for p in patterns)]
    firsts = re.escape("".join({mark[0] for mark in marks}))
    # The look-ahead changes nothing but the time: most characters fail at once, not at each alternative.
    return _Lexer(tuple(kinds), re.compile(rf"(?=[()\[\]{{}}{firsts}])(?:{'|'.join(alternatives)})", re.S))

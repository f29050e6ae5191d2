"""How much to suggest at a cursor: the rest of a line, a statement, or a whole body; and whether to suggest at all.

Why so. A line is quick to read and to accept, and a small model is right about it far more often than about
ten, so a line is the rule. A body is asked for where the user has said what it is for and nothing of it
exists: behind a header, below a header's docstring or opening comment, or where a definition has been begun by
its keyword and name. The best tools agree on this (Cody and twinny ask the syntax tree for an empty body,
llm-ls for empty brackets). They differ on an empty line at the top level, where we stay with a line, since
nothing there says what is wanted. Knows nothing of models or of LSP.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from lsp_server.completion.layout import (
    begins_body,
    closer_in,
    indent_of,
    line_above,
    line_prefix_of,
    line_suffix_of,
    lines_above,
    lines_below,
    opens_block,
    width_of,
)
from lsp_server.syntax.languages import Language
from lsp_server.syntax.scan import CLOSER_OF, Region, ScanState, scan, state_after
from lsp_server.syntax.tree import Block, Window, near_window, parse, surroundings, window

Multiline = Literal["auto", "always", "never"]
EndsBy = Literal["dedent", "brace"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a suggestion should look like.

    Attributes:
        kind: The rest of the line; or that with what it opens, which is seldom more; or a body of several lines.
        reason: Why, in words for the trace.
        skip_reason: Why nothing should be suggested unasked; None when something should. Who asks by hand
            gets a suggestion of `kind` all the same.
        floor: For a block: the columns of indentation below which a line no longer belongs to it.
        ends_by: For a block: what ends it, a line above its floor or the brace that closes it.
        is_in_header: For a block: the cursor stands in its header, before its colon or opening brace.
    """

    kind: Literal["line", "statement", "block"]
    reason: str
    skip_reason: str | None = None
    floor: int = 0
    ends_by: EndsBy = "dedent"
    is_in_header: bool = False


def decide(text: str, offset: int, language: Language | None, multiline: Multiline = "auto") -> Shape:
    """The shape of a suggestion at `offset` code points into `text`, which may have any line ends.

    Looks at no more than a window of the text, so its time does not grow with the file.
    """
    place = _Place(*surroundings(text, offset), language)
    return dataclasses.replace(_shape(place, multiline), skip_reason=_skip_reason(place))


_NO_BODY = Shape("statement", "no body is missing here")


class _Place:
    """The cursor's surroundings, measured once."""

    def __init__(self, prefix: str, suffix: str, language: Language | None) -> None:
        self.language = language
        around = window(prefix, suffix, language)
        self.prefix = around.prefix
        self.suffix = around.suffix
        self.near: Window = near_window(prefix, suffix, language)
        self.line_prefix = line_prefix_of(self.prefix)
        self.line_suffix = line_suffix_of(self.suffix)
        self.above = line_above(self.prefix)
        self.below = next(iter(lines_below(self.suffix)), "")
        self.state: ScanState = state_after(self.prefix, language)

    @property
    def is_blank(self) -> bool:
        """Whether the cursor's line is blank on both sides."""
        return not self.line_prefix.strip() and not self.line_suffix.strip()


def _skip_reason(place: _Place) -> str | None:
    next_char = place.suffix[:1]
    if next_char.isalnum() or next_char == "_":
        return "the cursor is in a word"
    return None


def _shape(place: _Place, multiline: Multiline) -> Shape:
    if multiline == "never":
        return Shape("line", "only lines are wanted")
    if multiline == "always":
        return _any_block(place)
    if place.line_suffix.strip() and not _is_between_braces(place):
        return Shape("line", "code follows on the line")
    region = _region(place)
    if region != "code":
        return Shape("line", f"the cursor is in a {region}")
    if place.language is None:
        return _block_by_text(place) or Shape("line", "the language is unknown and no block is open")
    begun = _begun_definition(place)
    if begun:
        return begun
    if place.language.block_style in ("indent", "end"):
        return _suite(place, place.language)
    return _braced(place, place.language)


def _any_block(place: _Place) -> Shape:
    """Several lines are wanted everywhere: a missing body if there is one, else the lines from here on."""
    block = _shape(place, "auto")
    if block.kind == "block":
        return block
    braces = place.language is not None and place.language.block_style == "braces"
    floor = width_of(place.line_prefix)
    return Shape("block", "several lines are always wanted", None, floor, "brace" if braces else "dedent")


def _region(place: _Place) -> Region:
    region = place.state.region
    if place.language is None or region == "code":
        return region
    # Reading on from the window's start cannot tell an interpolation from the string around it, nor a regular
    # expression's quote from a string's. The tree can, if it parses.
    tree = parse(place.near.text, place.language)
    return region if tree.has_errors else tree.region_at(place.near.cursor)


def _is_between_braces(place: _Place) -> bool:
    """`{|}`, as an editor leaves it after typing the first brace, with no more than closers behind."""
    is_braces = place.language is not None and place.language.block_style == "braces"
    rest = place.line_suffix.strip()
    opened = place.line_prefix.rstrip().endswith("{")
    return is_braces and opened and rest.startswith("}") and not rest.strip(")]};,")


def _begun_definition(place: _Place) -> Shape | None:
    """`def name|` or `func (s *T) Na|`: the line begins a definition, and nothing of it is below."""
    language = place.language
    words = place.line_prefix.split()
    if language is None or not words or place.line_suffix.strip():
        return None
    begins = any(words[: len(start.split())] == start.split() for start in language.definition_words)
    is_named = not any(words == start.split() for start in language.definition_words)
    is_open = opens_block(place.line_prefix, language)
    ends = place.line_prefix.rstrip().endswith((";", "}")) or closer_in(words[-1], language) > 0
    if not begins or not is_named or is_open or ends:
        return None
    if width_of(place.below) > width_of(place.line_prefix) or place.below.lstrip().startswith("{"):
        return Shape("statement", "the definition begun on this line has lines below it")
    floor = width_of(place.line_prefix) + 1
    ends_by: EndsBy = "brace" if language.block_style == "braces" else "dedent"
    return Shape("block", "a definition is begun and has no body", None, floor, ends_by, is_in_header=True)


def _block_by_text(place: _Place) -> Shape | None:
    """Without a tree: a line that ends in ":" or "{", and no deeper line below the cursor."""
    header = place.above if place.is_blank else place.line_prefix
    if not opens_block(header, place.language) or width_of(place.below) > width_of(header):
        return None
    ends_by: EndsBy = "brace" if header.rstrip().endswith("{") else "dedent"
    return Shape("block", "a line that opens a block has nothing below it", None, width_of(header) + 1, ends_by)


def _suite(place: _Place, language: Language) -> Shape:
    """A body that is ended by a dedent: ask the tree what a statement put at the cursor would be."""
    header = place.above if place.is_blank else place.line_prefix
    is_below_header = begins_body(header, language) if place.is_blank else opens_block(header, language)
    if place.is_blank and header:
        if not place.line_prefix and not is_below_header and not lines_above(place.prefix)[-1].strip():
            return Shape("statement", "an empty line at the left edge begins something new")
        step = language.indent.unit if is_below_header else ""
        indent = place.line_prefix or indent_of(header) + step
        before = place.near.prefix.removesuffix(place.line_prefix) + indent
    elif is_below_header:
        indent = indent_of(header) + language.indent.unit
        before = place.near.prefix + "\n" + indent
    else:
        return _NO_BODY
    floor = width_of(header) + 1 if is_below_header else width_of(indent)
    if floor > 0 and width_of(place.below) >= floor and not closer_in(place.below, language):
        return Shape("statement", "code follows in the same body")
    block = _block_of_probe(before, place.near.suffix, language)
    if block and block.n_statements > 1:
        return Shape("statement", "the body has code already")
    if block:
        return Shape("block", "the body is missing", None, floor)
    # Other errors around (a `try` that has no `except` yet) can hide the block from the tree. Inside brackets a
    # colon need not open a block, but `do` does.
    if is_below_header and (language.block_style == "end" or not place.state.open_brackets):
        return Shape("block", "a line that opens a block has nothing below it", None, floor)
    return _NO_BODY


def _block_of_probe(before: str, suffix: str, language: Language) -> Block | None:
    """The body that a statement between `before` and `suffix` would be in, if it is the last of it."""
    for probe in language.body_probes:
        end = len(before) + len(probe)
        text = before + probe + suffix
        block = parse(text, language).enclosing_block(end)
        if block and not text[end : block.end].strip():
            return block
    return None


def _braced(place: _Place, language: Language) -> Shape:
    """A body between braces: an empty one, or one whose closing brace is not there."""
    opened = place.above if place.is_blank else place.line_prefix
    if not place.is_blank and not opened.rstrip().endswith("{"):
        return _NO_BODY
    text, cursor = place.near.text, place.near.cursor
    block = parse(text, language).enclosing_block(cursor)
    header = _line_of(text, block.start - 1) if block else opened
    if block and block.n_statements > 0:
        reason = "the body has code already"
    elif block and _may_be_closed_below(place, header):
        return Shape("block", "the body is empty", None, width_of(header), "brace")
    else:
        reason = _NO_BODY.reason
    is_deeper_below = width_of(place.below) > width_of(opened)
    if opened.rstrip().endswith("{") and not is_deeper_below and not _may_be_closed_below(place, opened):
        # Close it by hand, with whatever else its line opened, and ask again.
        open_brackets = scan(opened, language).state.open_brackets or "{"
        closers = "".join(CLOSER_OF[bracket] for bracket in reversed(open_brackets))
        block = parse(text[:cursor] + closers + text[cursor:], language).enclosing_block(cursor)
        if block and block.n_statements == 0:
            reason = "the body is missing, and the brace that ends it"
            return Shape("block", reason, None, width_of(opened), "brace")
    return Shape("line" if place.line_suffix.strip() else "statement", reason)


def _may_be_closed_below(place: _Place, header: str) -> bool:
    """Whether what follows the cursor can be the end of the body that `header` opens, by its indentation."""
    if place.line_suffix.strip():
        return True
    return place.below.lstrip().startswith("}") and width_of(place.below) >= width_of(header)


def _line_of(text: str, offset: int) -> str:
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    return text[start:] if end < 0 else text[start:end]

"""The hole that a completion fills, measured once for all the filters of `finish`."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from lsp_server.completion.layout import (
    indent_of,
    line_above,
    line_prefix_of,
    line_suffix_of,
    lines_above,
    lines_below,
    width_of,
)
from lsp_server.completion.trigger import Shape
from lsp_server.syntax.languages import Language
from lsp_server.syntax.scan import CLOSER_OF, Scan, ScanState, scan, state_after
from lsp_server.syntax.tree import WINDOW_AFTER, WINDOW_BEFORE, SyntaxTree, Window, near_window, parse, window

_SUFFIX_TO_JUDGE_BY = 1_500
_LINES_TO_COMPARE = 12
_N_USUAL_ERRORS = 1  # a hole leaves one: the body or the expression that is missing
_FEW = 3  # indented lines, from which on a document shows a habit
_CLEARLY = 0.9
_SPACED_LINE = re.compile(r"\n {2,}\S")


@dataclass(frozen=True)
class Hole:
    """The text around the cursor, cut to a window, and what is known of the suggestion wanted there."""

    prefix: str
    suffix: str
    shape: Shape
    language: Language | None
    control_texts: Collection[str]
    is_cut: bool  # the document goes on behind `suffix`

    @functools.cached_property
    def line_prefix(self) -> str:
        """What the cursor's line holds before the cursor."""
        return line_prefix_of(self.prefix)

    @functools.cached_property
    def line_suffix(self) -> str:
        """What the cursor's line holds after the cursor."""
        return line_suffix_of(self.suffix)

    @functools.cached_property
    def above(self) -> str:
        """The nearest line above that is not blank."""
        return line_above(self.prefix)

    @functools.cached_property
    def recent(self) -> list[str]:
        """The last lines above the cursor's, blank ones too, the nearest last."""
        return [line.rstrip() for line in lines_above(self.prefix)[-_LINES_TO_COMPARE:]]

    @functools.cached_property
    def below(self) -> list[str]:
        """The next lines that are not blank, the nearest first."""
        return lines_below(self.suffix)[:_LINES_TO_COMPARE]

    @functools.cached_property
    def state(self) -> ScanState:
        """Where a scan stands at the cursor, its faults forgotten."""
        state = state_after(self.prefix, self.language)
        return ScanState(state.open_brackets, state.region, state.inside)

    @functools.cached_property
    def indent_unit(self) -> str:
        """The step of indentation shown behind lines that open a block; empty if none is."""
        lines = [line for line in (self.prefix + self.suffix).split("\n") if line.strip()]
        steps = Counter(
            indent_of(deeper).removeprefix(indent_of(line))
            for line, deeper in pairwise(lines)
            if line.rstrip().endswith((":", "{")) and width_of(deeper) > width_of(line)
        )
        total = sum(steps.values())
        step, count = steps.most_common(1)[0] if steps else ("", 0)
        return step if count >= 2 and count >= 0.7 * total else ""

    @functools.cached_property
    def indent_kind(self) -> Literal["tabs", "spaces", ""]:
        """What lines are indented with; empty if that is not clear."""
        around = "\n" + self.prefix + self.suffix
        n_tabs = around.count("\n\t")
        n_spaces = len(_SPACED_LINE.findall(around)) if n_tabs == 0 or n_tabs >= _FEW else 0
        if n_tabs >= _FEW and n_tabs >= _CLEARLY * (n_tabs + n_spaces):
            return "tabs"
        # A single tab among spaces may be GNU's style, where eight columns are a tab and six are spaces.
        return "spaces" if n_spaces >= _FEW and n_tabs == 0 else ""

    @property
    def next_line(self) -> str:
        """The nearest line below that is not blank; empty if there is none."""
        return next(iter(self.below), "")

    def scan(self, text: str) -> Scan:
        """Scan a text that is put at the cursor."""
        return scan(text, self.language, self.state)

    def whole_lines(self, text: str) -> list[str]:
        """The lines of a text as they stand in the document: the first with what is before the cursor."""
        return [line.rstrip() for line in (self.line_prefix + text).split("\n")]

    def faults(self, text: str) -> int:
        """How many brackets and quotes are wrong when `text` fills the hole; to be compared."""
        return self._judge(text).n_faults

    def imbalance(self, text: str) -> int:
        """The same, and the brackets that stay open."""
        state = self._judge(text)
        return state.n_faults + len(state.open_brackets)

    def has_errors(self, text: str) -> bool:
        """Whether any place of the window does not parse when `text` fills the hole; far cheaper than how many."""
        if self.language is None or not self._parse(text, self._near).has_errors:
            return False
        return self._judged is self._near or self._parse(text, self._judged).has_errors

    def n_errors(self, text: str) -> int:
        """How many places of the window do not parse when `text` fills the hole."""
        return self._parse(text, self._judged).n_errors if self.has_errors(text) else 0

    def adds_errors(self, text: str) -> bool:
        """Whether more places do not parse with `text` than without it, where a tree can judge the code at all."""
        if not self.has_errors(text):
            return False
        return not self.has_errors("") or (self.is_judged and self.n_errors(text) > self.n_errors(""))

    @functools.cached_property
    def is_judged(self) -> bool:
        """Whether the code parses but for the hole: not among macros, nor C++ in a `.h`."""
        return self.n_errors("") <= _N_USUAL_ERRORS

    @functools.cached_property
    def _near(self) -> Window:
        return near_window(self.prefix, self.suffix, self.language)

    @functools.cached_property
    def _judged(self) -> Window:
        """The window to parse: close by, unless only more of the text parses."""
        if not self._parse("", self._near).has_errors:
            return self._near
        more = Window(self.prefix + self.suffix, 0, len(self.prefix), True)
        return self._near if self._parse("", more).has_errors else more

    def _parse(self, text: str, around: Window) -> SyntaxTree:
        assert self.language is not None
        closers = self._closers(text, around)
        return parse(around.prefix + text + around.suffix + closers, self.language)

    def _closers(self, text: str, around: Window) -> str:
        """What closes the brackets whose ends the window cuts off; what only `text` opens stays open."""
        if not self.is_cut and len(around.suffix) == len(self.suffix):
            return ""
        state = state_after(around.prefix, self.language)
        ends = [state_after(filled + around.suffix, self.language, state) for filled in ("", text)]
        open_brackets = min((end.open_brackets for end in ends), key=len)
        return "\n" + "".join(CLOSER_OF[bracket] for bracket in reversed(open_brackets)) if open_brackets else ""

    def _judge(self, text: str) -> ScanState:
        return state_after(text + self.suffix[:_SUFFIX_TO_JUDGE_BY], self.language, self.state)


def hole_at(
    prefix: str, suffix: str, shape: Shape, language: Language | None, control_texts: Collection[str]
) -> Hole:
    """The hole between a prefix and a suffix of any length."""
    if language and language.is_prose:
        language = None  # ":)" is no bracket that closes nothing, and a fence is no talk about the code
    around = window(prefix[-WINDOW_BEFORE - 1 :], suffix[: WINDOW_AFTER + 1], language)
    is_cut = len(around.suffix) < len(suffix)
    return Hole(around.prefix, around.suffix, shape, language, control_texts, is_cut)

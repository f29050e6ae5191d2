"""Filters that keep a completion from breaking the brackets and the syntax around it."""

from __future__ import annotations

from lsp_server.completion.hole import Hole
from lsp_server.completion.layout import opens_block, width_of
from lsp_server.completion.statement import goes_on, is_header

_N_CUTS = 16
_N_TRAILING = 3
_N_LAST_LINES = 2
_N_BALANCED = 3
_CLOSING = ")]}\"'`"


def stray_closers(text: str, hole: Hole) -> str:
    """Cut at the closer that closes nothing, or closes what the text below closes.

    The longest beginning of the text that makes no more faults than the hole has without it.
    """
    n_faults = hole.faults("")
    if hole.language is None or hole.faults(text) <= n_faults:
        return text
    closers = [bracket for bracket in hole.scan(text).brackets if bracket.char in ")]}"]
    for closer in reversed(closers[-_N_CUTS:]):
        if hole.faults(text[: closer.offset]) <= n_faults:
            return text[: closer.offset]
    return text


def syntax(text: str, hole: Hole) -> str:
    """Take the longest beginning that parses, of a few, when the text does not; none when it only does harm.

    What is merely not finished, and would parse once what it opens is closed, stays.
    """
    if hole.language is None or not text.strip() or hole.state.region != "code":
        return text
    if not hole.has_errors(text) or not hole.is_judged:
        return text
    for cut in _cuts(text, hole):
        if not hole.has_errors(cut):
            return cut
        if hole.has_errors("") and hole.n_errors(cut) <= min(hole.n_errors(""), hole.n_errors(text) - 1):
            return cut
    return "" if _does_harm(text, hole) and not _opens(text, hole) else text


def unfinished(text: str, hole: Hole) -> str:
    """Take away the last lines, all if need be, that open what has no end; where only lines are wanted, they stay."""
    if hole.shape.kind == "line" or hole.language is None or hole.state.region != "code":
        return text
    while text.strip() and _opens(text, hole) and _has_no_end(text, hole):
        text = text.rpartition("\n")[0].rstrip("\n")
    return text


def _does_harm(text: str, hole: Hole) -> bool:
    """Whether it is sure that a text breaks the syntax.

    Where blocks end with a word or a tag, an end that is right can look like a fault in a window. And what follows
    on the line may be the next one, which a line end will part from this one.
    """
    is_telling = hole.language is not None and hole.language.block_style != "end" and not hole.line_suffix.strip()
    return is_telling and hole.adds_errors(text)


def _opens(text: str, hole: Hole) -> bool:
    """Whether the text ends in the middle of something: a call, a block, a string of several lines."""
    last_line = hole.whole_lines(text)[-1]
    state = hole.scan(text + "\n").state
    opens = len(state.open_brackets) > len(hole.state.open_brackets) or state.region != "code"
    return opens or opens_block(last_line, hole.language) or last_line.endswith(",") or goes_on(last_line)


def _has_no_end(text: str, hole: Hole) -> bool:
    """Whether what the text opens has no end below, by the tree, or by brackets and indentation.

    A grammar may take a header for an empty body, and in a window a bracket more may be no error more.
    """
    last_line = hole.whole_lines(text)[-1]
    if hole.line_suffix.strip() or width_of(hole.next_line) > width_of(last_line):
        return False
    is_cut_off = goes_on(last_line) and hole.next_line.lstrip()[:1] in ("", *")]}")
    is_open = is_header(last_line, hole) or hole.imbalance(text) > hole.imbalance("")
    return is_cut_off or is_open or _does_harm(text, hole)


def _cuts(text: str, hole: Hole) -> list[str]:
    """Shorter texts worth trying, the longest first."""
    if "\n" in text.strip("\n"):
        # The model was cut off in the middle of the last line; not when that line goes on behind the cursor.
        lines = text.split("\n")
        is_open_end = not hole.line_suffix.strip()
        cuts = ["\n".join(lines[:-n]) for n in range(1, len(lines))] if is_open_end else []
        balanced = [cut for cut in cuts if hole.scan(cut).state.open_brackets == hole.state.open_brackets]
        return [cut for cut in dict.fromkeys([*cuts[:_N_LAST_LINES], *balanced[:_N_BALANCED]]) if cut.strip()]
    n_closing = len(text) - len(text.rstrip(_CLOSING))
    cuts = [text[:-size] for size in range(1, min(n_closing, _N_TRAILING) + 1)]
    return [cut for cut in cuts if cut.strip() and hole.imbalance(cut) <= hole.imbalance(text)]

"""Filters that keep a completion from breaking the brackets and the syntax around it."""

from __future__ import annotations

from lsp_server.completion.hole import Hole

_N_CUTS = 16
_N_TRAILING = 3
_N_LAST_LINES = 2
_N_USUAL_ERRORS = 1  # a hole leaves one: the body or the expression that is missing
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
    """Try a few shorter texts when the text does not parse, and take one that does; never empty it."""
    if hole.language is None or not text.strip() or hole.state.region != "code":
        return text
    cuts = _cuts(text, hole)  # before anything is parsed, which is what costs
    n_errors = hole.n_errors(text) if cuts else 0
    if n_errors == 0:
        return text
    n_errors_before = hole.n_errors("")
    if n_errors_before > _N_USUAL_ERRORS:
        return text  # a macro, C++ in a `.h`: the tree cannot judge this code
    for cut in cuts:
        if hole.n_errors(cut) <= min(n_errors_before, n_errors - 1):
            return cut
    return text


def _cuts(text: str, hole: Hole) -> list[str]:
    """Shorter texts worth trying, the longest first."""
    if "\n" in text.strip("\n"):
        # The model was cut off in the middle of the last line; not when that line goes on behind the cursor.
        lines = text.split("\n")
        is_open_end = not hole.line_suffix.strip()
        cuts = ["\n".join(lines[:-n]) for n in range(1, _N_LAST_LINES + 1)] if is_open_end else []
    else:
        n_closing = len(text) - len(text.rstrip(_CLOSING))
        cuts = [text[:-size] for size in range(1, min(n_closing, _N_TRAILING) + 1)]
    return [cut for cut in cuts if cut.strip() and hole.imbalance(cut) <= hole.imbalance(text)]

"""Drafting: tokens that are likely to come next, to be evaluated in one batch with the newest one.

The draft is looked up in what is already there: the suggestion before, the file, the output itself. A batch
of four costs less than four single tokens, but more than one, so a draft must be worth it: what a wider batch
costs and how much of a draft is right are both measured while working.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

WIDTHS = (1, 2, 4, 8)  # tokens in one batch: the newest, and the drafted ones
MATCHED = (4, 3, 2, 1)  # newest tokens that must occur where the draft is found; more are trusted more
LEAST_GAIN = 1.05  # tokens a drafting batch must give for each that its time would give one by one
FORGET_AFTER = 200  # drafted tokens: what was right long ago counts less and less
COST_WEIGHT = 0.1
_ITEM = array("i").itemsize


@dataclass
class _Record:
    """How many of the tokens drafted on a match of this length were right. Begins with an even guess."""

    n_drafted: float = 10.0
    n_right: float = 5.0

    @property
    def share(self) -> float:
        return self.n_right / self.n_drafted


class Drafter:
    """What drafting has cost and brought on one model. Belongs to the model's thread."""

    def __init__(self, costs_ms: dict[int, float] | None = None) -> None:
        """costs_ms: milliseconds of an evaluation by its width, where they have been measured."""
        self.costs_ms = dict(costs_ms or {})
        self._records = {n: _Record() for n in MATCHED}

    def propose(self, ids: Sequence[int], known: Sequence[int]) -> tuple[list[int], int]:
        """Return a draft for what follows `ids`, and the length of the match it was found by; empty if none pays.

        `known`: token ids to look it up in, the most relevant last.
        """
        text = array("i", known).tobytes()
        for n_matched in MATCHED:
            if n_matched > len(ids):
                continue
            at = _find_last(text, array("i", ids[-n_matched:]).tobytes())
            if at < 0:
                continue
            following = known[at + n_matched :]
            n = self._best_length(self._records[n_matched].share, len(following))
            return list(following[:n]), n_matched
        return [], 0

    def measured(self, width: int, took_ms: float) -> None:
        """Hear how long an evaluation of `width` tokens took."""
        if width in WIDTHS:
            before = self.costs_ms.get(width, took_ms)
            # An evaluation beside a busy neighbour says little: no more than doubles the figure at once.
            self.costs_ms[width] = before + COST_WEIGHT * (min(took_ms, 2 * before) - before)

    def tested(self, n_matched: int, is_right: bool) -> None:
        """Hear whether one drafted token was right. What follows the first wrong one is never tested."""
        record = self._records[n_matched]
        record.n_drafted += 1
        record.n_right += is_right
        if record.n_drafted > FORGET_AFTER:
            record.n_drafted /= 2
            record.n_right /= 2

    def _best_length(self, share: float, n_most: int) -> int:
        """Length of the draft that gives most tokens for its time; 0 when one by one is as good."""
        single = self.costs_ms.get(1)
        best, best_gain = 0, LEAST_GAIN
        for width in WIDTHS[1:]:
            cost = self.costs_ms.get(width)
            if single is None or cost is None or width - 1 > n_most:
                continue
            n_expected = sum(share**i for i in range(width))
            gain = n_expected * single / cost
            if gain > best_gain:
                best, best_gain = width - 1, gain
        return best


def _find_last(text: bytes, wanted: bytes) -> int:
    """Index of the last occurrence of some ids that has another id behind it, or -1."""
    end = len(text) - _ITEM
    while (at := text.rfind(wanted, 0, end)) >= 0:
        if at % _ITEM == 0:
            return at // _ITEM
        end = at + len(wanted) - 1
    return -1

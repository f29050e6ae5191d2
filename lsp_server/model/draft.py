"""Drafting: tokens that are likely to come next, to be evaluated in one batch with the newest one.

The draft is looked up in what is already there: the suggestion before, and the file. (Or a small model says it:
draft_model.py.) A batch of four costs less than four single tokens, but more than one, so a draft must be worth
it. What a wider batch costs is measured at load and while working; how much of a draft is right is known for each
length of match, from what was drafted and from what might have been.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

WIDTHS = (1, 2, 4, 8)  # tokens in one batch: the newest, and the drafted ones
MATCHED = (16, 8, 4, 2, 1)  # newest tokens that must occur where the draft is found; more are trusted more
LEAST_GAIN = 1.15  # tokens a drafting batch must give for each that its time would give one by one
FORGET_AFTER = 200  # tested tokens: what was right long ago counts less and less
RISING, FALLING = 0.03, 0.5  # weight of a new cost: it is what a width takes undisturbed
TRY_EVERY, TRY_WIDTH = 32, 4  # drafts that would not pay are tried so often, lest an old cost is believed for ever
WORTH_TRYING = 0.6  # share of right tokens; with fewer a draft pays at hardly any cost
PACE_MS, LEAST_PACE_TOKENS = 4000.0, 4  # how far back the pace looks, and how many tokens tell one
_ITEM = array("i").itemsize


@dataclass
class Record:
    """How many of the drafted tokens that were tested were right. Begins with an even guess."""

    n_tested: float = 10.0
    n_right: float = 5.0

    @property
    def share(self) -> float:
        return self.n_right / self.n_tested

    def add(self, is_right: bool) -> None:
        """Count one more."""
        self.n_tested += 1
        self.n_right += is_right
        if self.n_tested > FORGET_AFTER:
            self.n_tested /= 2
            self.n_right /= 2


class Pace:
    """How fast the model has been speaking lately. Belongs to the model's thread; others may read it."""

    def __init__(self) -> None:
        self._n_tokens = self._ms = 0.0

    def add(self, n_tokens: int, took_ms: float) -> None:
        """Hear of tokens that came out, and of the time for it."""
        self._n_tokens += n_tokens
        self._ms += took_ms
        if self._ms > PACE_MS:
            self._n_tokens, self._ms = self._n_tokens / 2, self._ms / 2

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens of output a second, drafted ones included; None while there is little to tell it by."""
        return self._n_tokens / self._ms * 1e3 if self._n_tokens >= LEAST_PACE_TOKENS and self._ms else None


class Drafter:
    """What drafting has cost and brought on one model. Belongs to the model's thread."""

    def __init__(self, costs_ms: dict[int, float] | None = None) -> None:
        """costs_ms: milliseconds of an evaluation by its width, where they have been measured."""
        self.costs_ms = dict(costs_ms or {})
        self.pace = Pace()
        self._records = {n: Record() for n in MATCHED}  # by the length of the match
        self._guess = (0, 0, 0)  # length of the output, of the match, and the token that was not drafted
        self._n_refused = 0

    def propose(self, ids: Sequence[int], known: Sequence[int]) -> tuple[list[int], int]:
        """Return a draft for what follows `ids`, and the length of the match it was found by; empty if none pays.

        `known`: token ids to look it up in, the most relevant last.
        """
        n_ids, n_matched, guessed = self._guess
        if n_matched and n_ids + 1 == len(ids):
            self.tested(n_matched, ids[-1] == guessed)
        self._guess = (0, 0, 0)
        text = array("i", known).tobytes()
        for n_matched in MATCHED:
            if n_matched > len(ids):
                continue
            at = _find_last(text, array("i", ids[-n_matched:]).tobytes())
            if at < 0:
                continue
            following = known[at + n_matched :]
            n, _ = self.best_length(self._records[n_matched].share, len(following))
            if not n:
                n = self._try_anyway(n_matched, len(following))
            if not n:
                self._guess = (len(ids), n_matched, following[0])
            return list(following[:n]), n_matched
        return [], 0

    def measured(self, width: int, took_ms: float) -> None:
        """Hear how long an evaluation of `width` tokens took."""
        if width in WIDTHS:
            before = self.costs_ms.get(width, took_ms)
            # An evaluation beside a busy neighbour says little: no more than doubles the figure at once.
            weight = RISING if took_ms > before else FALLING
            self.costs_ms[width] = before + weight * (min(took_ms, 2 * before) - before)

    def tested(self, n_matched: int, is_right: bool) -> None:
        """Hear whether one token was right. What follows the first wrong one is never tested."""
        self._records[n_matched].add(is_right)

    def best_length(self, share: float, n_most: int, each_ms: float = 0.0) -> tuple[int, float]:
        """Length of the draft that gives most tokens for its time, 0 when one by one is as good; and its gain.

        share: of the tokens that are right. each_ms: what it takes to draft one. The gain is how many tokens come out
        for each that would come one by one in that time; LEAST_GAIN at least.
        """
        single = self.costs_ms.get(1)
        best, best_gain = 0, LEAST_GAIN
        for width in WIDTHS[1:]:
            cost = self.costs_ms.get(width)
            if single is None or cost is None or width - 1 > n_most:
                continue
            n_expected = sum(share**i for i in range(width))
            gain = n_expected * single / (cost + (width - 1) * each_ms)
            if gain > best_gain:
                best, best_gain = width - 1, gain
        return best, best_gain

    def _try_anyway(self, n_matched: int, n_most: int) -> int:
        """Length of a draft to learn its cost by, now and then, where it is mostly right; else 0."""
        if not self.costs_ms or self._records[n_matched].share < WORTH_TRYING or n_most < TRY_WIDTH - 1:
            return 0
        self._n_refused += 1
        return 0 if self._n_refused % TRY_EVERY else TRY_WIDTH - 1


def _find_last(text: bytes, wanted: bytes) -> int:
    """Index of the last occurrence of some ids that has another id behind it, or -1."""
    end = len(text) - _ITEM
    while (at := text.rfind(wanted, 0, end)) >= 0:
        if at % _ITEM == 0:
            return at // _ITEM
        end = at + len(wanted) - 1
    return -1

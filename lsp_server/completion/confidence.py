"""How sure the model is of what it wrote, from the probabilities of its tokens.

The probability of a line is the product of those of its tokens. That of the first line tells right suggestions
from wrong ones far better than the first token's does (docs/log.md has the curve).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from lsp_server.model.generate import Generation


@dataclass(frozen=True)
class Doubt:
    """One token of a suggestion: where its text ends, in code points, and its log probability."""

    end: int
    logprob: float


def doubts(generation: Generation, shown: str) -> tuple[Doubt, ...]:
    """The tokens of the first line with something on it, without the one that ends it: that says little.

    `shown`: what became of the text; where it does not begin like it, no token is ever typed.
    """
    first_line = len(generation.text) - len(generation.text.lstrip())
    end = generation.text.find("\n", first_line)
    length = len(generation.text) if end < 0 else end
    found: list[Doubt] = []
    for step, at in zip(generation.steps, generation.ends, strict=True):
        if at > length:
            break
        found.append(Doubt(at if generation.text.startswith(shown) else sys.maxsize, step.logprob))
    return tuple(found)


def confidence(of: Sequence[Doubt], n_typed: int = 0) -> float:
    """Probability, 0 to 1, of the tokens that are not typed yet."""
    return math.exp(sum(doubt.logprob for doubt in of if doubt.end > n_typed))


def too_low(sure: float, least: float) -> str:
    """Say why a suggestion is kept back."""
    return (
        f"the model is not sure enough: {sure:.1%} for the line, and `kruk.completion.minConfidence` is {least:.0%}"
    )


def sure_lines(generation: Generation, least: float) -> str:
    """The text up to the first line, after the first one with something on it, that is less likely than `least`."""
    text, steps = generation.text, iter(zip(generation.steps, generation.ends, strict=True))
    kept, logprob = 0, 0.0
    at = 0
    for line in text.splitlines(keepends=True) if "\r" not in text else [text]:
        end, logprob = kept + len(line), 0.0
        while at < end:
            step, at = next(steps)
            logprob += step.logprob
        if text[:kept].strip() and math.exp(logprob) < least:
            return text[:kept]
        kept = end
    return text

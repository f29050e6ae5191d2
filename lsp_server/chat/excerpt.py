"""What a question brings along, cut so that the model can hold it, with a record of what it was shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsp_server.chat.markdown import fenced
from lsp_server.model.base import Model

LEAST_TOKENS = 24  # less of a text says nothing
CHARS_PER_TOKEN = 16  # no text has more on average


@dataclass(frozen=True)
class Excerpt:
    """A text that a mention stands for. `first_line` counts from 1; 0: its lines have no numbers."""

    mention: str
    title: str
    text: str
    language: str = ""
    first_line: int = 0


@dataclass(frozen=True)
class Seen:
    """What the model was shown of an excerpt. `cut` says what is missing and why; "" when nothing is."""

    mention: str
    title: str
    lines: tuple[int, int] | None
    n_tokens: int
    cut: str = ""

    def __str__(self) -> str:
        """In words for people."""
        lines = f" lines {self.lines[0]}-{self.lines[1]}" if self.lines else ""
        return f"{self.title}{lines} ({self.n_tokens} tokens{f'; {self.cut}' if self.cut else ''})"


def show(model: Model, question: str, excerpts: Sequence[Excerpt], n_most: int) -> tuple[str, list[Seen]]:
    """Put excerpts in front of the question, in `n_most` tokens: short ones whole, long ones share the rest."""
    room = n_most - len(model.tokenize(question))
    sizes = [_size(model, excerpt, n_most) for excerpt in excerpts]
    shares = _shares(
        sizes, room - sum(len(model.tokenize(_framed(excerpt, "", (9999, 9999)))) for excerpt in excerpts)
    )
    parts, seen = [], []
    for excerpt, size, share in zip(excerpts, sizes, shares, strict=True):
        text = excerpt.text if size <= share else _beginning(model, excerpt.text, share)
        n_lines, n_shown = excerpt.text.count("\n") + 1, text.count("\n") + 1 if text else 0
        first = excerpt.first_line
        lines = (first, first + n_shown - 1) if first and n_shown else None
        cut = "" if text == excerpt.text else f"{n_lines - n_shown} of {n_lines} lines left out: no room"
        seen.append(Seen(excerpt.mention, excerpt.title, lines, len(model.tokenize(text)), cut))
        if text:
            parts.append(_framed(excerpt, text, lines))
    return "".join([*parts, question]), seen


def _framed(excerpt: Excerpt, text: str, lines: tuple[int, int] | None) -> str:
    title = f"{excerpt.title}, lines {lines[0]}-{lines[1]}" if lines else excerpt.title
    return f"{title}:\n{fenced(text, excerpt.language)}\n\n"


def _size(model: Model, excerpt: Excerpt, n_most: int) -> int:
    """Tokens of an excerpt; of one that cannot fit anyway a number that is too large."""
    too_long = len(excerpt.text) > n_most * CHARS_PER_TOKEN
    return len(excerpt.text) if too_long else len(model.tokenize(excerpt.text))


def _shares(sizes: Sequence[int], room: int) -> list[int]:
    """Divide the room: nobody gets more than the size, and what the small ones leave goes to the large ones."""
    shares = [0] * len(sizes)
    waiting = sorted(range(len(sizes)), key=sizes.__getitem__)
    while waiting:
        i = waiting.pop(0)
        shares[i] = max(0, min(sizes[i], room // (len(waiting) + 1)))
        room -= shares[i]
    return shares


def _beginning(model: Model, text: str, n_most: int) -> str:
    """As many whole lines as `n_most` tokens hold; "" when that is too little to be of use."""
    if n_most < LEAST_TOKENS:
        return ""
    lines = text[: n_most * CHARS_PER_TOKEN].split("\n")
    low, high = 0, len(lines)
    while low < high:
        middle = (low + high + 1) // 2
        if len(model.tokenize("\n".join(lines[:middle]))) <= n_most:
            low = middle
        else:
            high = middle - 1
    return "\n".join(lines[:low])

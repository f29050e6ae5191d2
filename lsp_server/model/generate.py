"""Greedy generation with token healing, as a job for the worker. Knows token ids, bytes and text only."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from lsp_server.model.base import Evaluation, Model
from lsp_server.model.worker import Steps, persist

MAX_WORD_TOKENS = 4  # each one given back costs a step of its own

StopRule: TypeAlias = Callable[[str], bool]  # hears each new piece of the text; True ends it


@dataclass(frozen=True)
class Prompt:
    """Token ids for the model, and those that healing gave back: the output must begin with their bytes."""

    token_ids: tuple[int, ...]
    given_back: tuple[int, ...] = ()


@dataclass
class Generation:
    """What came out. `text` does not hold the owed bytes."""

    text: str = ""
    ended_by: str = ""  # "model", "rule", "length"
    n_tokens: int = 0
    evaluation: Evaluation = field(default_factory=lambda: Evaluation(0, 0))


def generate(
    model: Model, sequence: int, prompt: Prompt, n_most: int, stop: StopRule, must_begin: bool = False
) -> Steps[Generation]:
    """Continue the prompt greedily by at most `n_most` tokens.

    Yields after every token, so that a more urgent job can run. With `must_begin` the first token after the
    owed bytes is never one that ends the output. Text is cut at whole characters.
    """
    out = Generation()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    given_back = prompt.given_back
    owed = b"".join(model.vocabulary.pieces[i] for i in given_back)
    out.evaluation = yield from persist(lambda: model.evaluate(sequence, prompt.token_ids))
    for _ in range(n_most):
        token_id = _best_owed(model, owed, given_back) if owed else _best(model, must_begin and not out.text)
        if token_id is None or model.is_end(token_id):
            out.ended_by = "model"
            return out
        piece = model.vocabulary.pieces[token_id]
        new = decoder.decode(piece[len(owed) :])
        out.text += new
        owed = owed[len(piece) :]
        given_back = given_back[1:]
        out.n_tokens += 1
        if new and stop(new):
            out.ended_by = "rule"
            return out
        yield from persist(lambda token_id=token_id: model.append(sequence, token_id))  # type: ignore[misc]
        yield
    out.ended_by = "length"
    return out


def heal(model: Model, text: str) -> tuple[list[int], tuple[int, ...]]:
    """Tokenise `text`, giving back its last token, and more where a cut after it would be as wrong.

    A cursor seldom stands where the tokenizer would cut: `retu|` is the tokens `ret` and `u`, and no continuation
    of `u` is `return`; an indentation's last space belongs to the next word's token. So the word at the cursor
    comes back (its last MAX_WORD_TOKENS tokens at most), and all white space when the cursor is behind some.
    Returns the tokens that stay, and those given back.
    """
    token_ids = model.tokenize(text)
    pieces = model.vocabulary.pieces
    n_kept, owed = len(token_ids), b""
    while n_kept:
        last = pieces[token_ids[n_kept - 1]]
        is_word = len(token_ids) - n_kept < MAX_WORD_TOKENS and _joins(last, owed)
        if owed and not is_word and not (_is_blank(owed) and _is_blank(last)):
            break
        owed = last + owed
        n_kept -= 1
    return token_ids[:n_kept], tuple(token_ids[n_kept:])


def _joins(before: bytes, after: bytes) -> bool:
    """Whether one word runs across the border of two pieces."""
    return bool(before) and bool(after) and _is_word_byte(before[-1]) and _is_word_byte(after[0])


def _is_word_byte(byte: int) -> bool:
    return byte >= 0x80 or byte == 0x5F or chr(byte).isalnum()


def _is_blank(piece: bytes) -> bool:
    return not piece.strip(b" \t")


def _best_owed(model: Model, owed: bytes, given_back: Sequence[int]) -> int | None:
    """Return the likeliest token that agrees with the owed bytes; None when there is none.

    White space may be cut anywhere, since its last space belongs to what follows. A word may go on in a longer
    token, or as the tokenizer cut it; any other beginning of it (` ` of ` b`) is likely and leads nowhere.
    """
    logits = model.logits()
    longer = model.vocabulary.covering(owed)
    candidates = list(model.vocabulary.beginning(owed) if _is_blank(owed) else given_back[:1])
    if len(longer):
        candidates.append(int(longer[logits[longer].argmax()]))
    return max(candidates, key=lambda i: logits[i]) if candidates else None


def _best(model: Model, no_end: bool) -> int:
    """Return the likeliest token; with `no_end` the likeliest of those that do not end the output."""
    logits = model.logits()
    best = int(logits.argmax())
    if no_end and model.is_end(best):
        logits = logits.copy()
        while model.is_end(best):
            logits[best] = -float("inf")
            best = int(logits.argmax())
    return best

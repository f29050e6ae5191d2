"""Greedy generation with token healing, as a job for the worker. Knows token ids, bytes and text only."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from lsp_server.model.base import Evaluation, Model, TokenIds
from lsp_server.model.worker import Steps, persist

MAX_WORD_TOKENS = 4  # each one given back costs a step of its own

StopRule: TypeAlias = Callable[[str], bool]  # hears each new piece of the text; True ends it


@dataclass(frozen=True)
class Prompt:
    """Token ids for the model, and the bytes that its output must begin with (given back by healing)."""

    token_ids: tuple[int, ...]
    owed: bytes = b""


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
    owed = prompt.owed
    out.evaluation = yield from persist(lambda: model.evaluate(sequence, prompt.token_ids))
    for _ in range(n_most):
        token_id = _best(model, owed, must_begin and not out.text)
        if token_id is None or model.is_end(token_id):
            out.ended_by = "model"
            return out
        piece = model.vocabulary.pieces[token_id]
        new = decoder.decode(piece[len(owed) :])
        out.text += new
        owed = owed[len(piece) :]
        out.n_tokens += 1
        if new and stop(new):
            out.ended_by = "rule"
            return out
        yield from persist(lambda token_id=token_id: model.append(sequence, token_id))  # type: ignore[misc]
        yield
    out.ended_by = "length"
    return out


def heal(model: Model, text: str) -> tuple[list[int], bytes]:
    """Tokenise `text`, giving back its last token, and more where a cut after it would be as wrong.

    A cursor seldom stands where the tokenizer would cut: `retu|` is the tokens `ret` and `u`, and no continuation
    of `u` is `return`; an indentation's last space belongs to the next word's token. So the word at the cursor
    comes back (its last MAX_WORD_TOKENS tokens at most), and all white space when the cursor is behind some. The
    bytes given back are what the output must begin with.
    """
    token_ids = model.tokenize(text)
    pieces = model.vocabulary.pieces
    owed, n_given_back = b"", 0
    while token_ids:
        last = pieces[token_ids[-1]]
        is_word = n_given_back < MAX_WORD_TOKENS and _joins(last, owed)
        if owed and not is_word and not (_is_blank(owed) and _is_blank(last)):
            break
        owed = last + owed
        token_ids.pop()
        n_given_back += 1
    return token_ids, owed


def _joins(before: bytes, after: bytes) -> bool:
    """Whether one word runs across the border of two pieces."""
    return bool(before) and bool(after) and _is_word_byte(before[-1]) and _is_word_byte(after[0])


def _is_word_byte(byte: int) -> bool:
    return byte >= 0x80 or byte == 0x5F or chr(byte).isalnum()


def _is_blank(piece: bytes) -> bool:
    return not piece.strip(b" \t")


def _best(model: Model, owed: bytes, no_end: bool) -> int | None:
    """Return the likeliest token, among those that agree with the owed bytes; None when there is none."""
    logits = model.logits()
    if owed:
        allowed: TokenIds = model.vocabulary.starting(owed)
        return int(allowed[logits[allowed].argmax()]) if len(allowed) else None
    best = int(logits.argmax())
    if no_end and model.is_end(best):
        logits = logits.copy()
        while model.is_end(best):
            logits[best] = -float("inf")
            best = int(logits.argmax())
    return best

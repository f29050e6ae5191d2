"""Greedy generation, with token healing where logits are at hand, as a job for the worker.

Knows token ids, bytes and text only.
"""

from __future__ import annotations

import bisect
import codecs
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, TypeAlias

from lsp_server.model.base import Evaluation, Logits, Model, Speaker, Step
from lsp_server.model.worker import Steps, persist

MAX_WORD_TOKENS = 4  # each one given back costs a step of its own
NEGLIGIBLE = 20.0  # a logit so much below the largest adds nothing to a probability

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
    steps: list[Step] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)  # length of `text` after each step
    evaluation: Evaluation = field(default_factory=lambda: Evaluation(0, 0))
    n_evaluations: int = 0  # of the model, after the prompt's
    n_drafted: int = 0
    n_drafted_right: int = 0

    @property
    def n_tokens(self) -> int:
        """Tokens of the output."""
        return len(self.steps)

    def after(self, n_chars: int) -> Generation:
        """What is left of it behind its first code points; the token that they end in stays."""
        at = bisect.bisect_right(self.ends, n_chars)
        return Generation(
            self.text[n_chars:], self.ended_by, self.steps[at:], [end - n_chars for end in self.ends[at:]]
        )


def generate(
    model: Model,
    sequence: int,
    prompt: Prompt,
    n_most: int,
    stop: StopRule,
    *,
    must_begin: bool = False,
    is_line: bool = False,
    forced: Sequence[int] = (),
    hints: Sequence[int] = (),
    told: Callable[[Generation], None] = lambda _: None,
) -> Steps[Generation]:
    """Continue the prompt greedily by at most `n_most` tokens.

    Yields before every evaluation, so that a more urgent job can run; whatever that one did to the sequence
    is put right by the next evaluation. With `must_begin` the first token after the owed bytes is never one
    that ends the output. `is_line`: `stop` ends it with a line, so that no more is drafted. `forced`: tokens
    the output begins with. `hints`: token ids that it may repeat, beside the prompt's. `told` hears what there is
    after each token. Text is cut at whole characters. A `Speaker` may end where it wants, and has no use for hints.
    """
    if isinstance(model, Speaker):
        return (yield from _listen(model, prompt, n_most, stop, forced, told))
    writer = _Writer(model, prompt, stop)
    out = writer.out
    known = [*prompt.token_ids, *hints]
    draft: list[int] = []
    small = model.draft_model
    tested: Callable[[bool], None] = partial(model.drafter.tested, 0)

    def evaluate() -> Evaluation:
        started = time.perf_counter()
        width = len(draft) + 1
        evaluation = model.evaluate(sequence, [*writer.ids, *draft], width)
        if evaluation.n_evaluated == width:
            took_ms = (time.perf_counter() - started) * 1e3
            model.drafter.measured(width, took_ms)
            model.drafter.pace.add(1, took_ms)
        return evaluation

    for token_id in forced:
        if writer.take(Step(token_id, 0.0)):
            return out
    out.evaluation = yield from persist(evaluate)
    while out.n_tokens < n_most:
        step = writer.choose(model.logits(-1 - len(draft)), must_begin and not out.text)
        if draft:
            is_right = draft.pop(0) == step.token_id
            tested(is_right)
            out.n_drafted_right += is_right
            if not is_right:
                draft.clear()
        else:
            is_right = False
        is_over = writer.take(step)
        told(out)
        if is_over:
            return out
        if is_right:  # its logits are here already
            model.drafter.pace.add(1, 0.0)
            continue
        if model.info.can_truncate and not writer.owed:
            found, n_matched = model.drafter.propose(writer.ids, known)
            tested = partial(model.drafter.tested, n_matched)
            if not found and small:
                found = yield from persist(
                    partial(small.propose, model.drafter, sequence, writer.ids, out.n_tokens, is_line)
                )
                tested = small.tested
            draft += _first_line(model, found) if is_line else found
            out.n_drafted += len(draft)
        yield
        evaluation = yield from persist(evaluate)
        out.n_evaluations += evaluation.n_evaluated > 0
    out.ended_by = "length"
    return out


def _listen(
    model: Speaker,
    prompt: Prompt,
    n_most: int,
    stop: StopRule,
    forced: Sequence[int],
    told: Callable[[Generation], None],
) -> Steps[Generation]:
    """Take over what a model says, until it ends or is stopped.

    It cannot be made to begin with the bytes that are owed. If it does not, it is asked again, with them in the
    prompt.
    """
    writer = _Writer(model, prompt, stop)
    for token_id in forced:
        if writer.take(Step(token_id, 0.0)):
            return writer.out
    speech = model.speak(writer.ids, n_most - len(forced))
    try:
        while True:
            step = yield from persist(speech.next)
            if writer.owed and (step is None or not _agrees(model.vocabulary.pieces[step.token_id], writer.owed)):
                speech.close()
                writer = _Writer(model, Prompt((*prompt.token_ids, *prompt.given_back)), stop)
                speech = model.speak(writer.ids, n_most)
                continue
            writer.out.evaluation = speech.evaluation
            if step is None:
                writer.out.ended_by = speech.ended_by
                return writer.out
            is_over = writer.take(step)
            told(writer.out)
            if is_over:
                return writer.out
            yield
    finally:
        speech.close()


def _agrees(piece: bytes, owed: bytes) -> bool:
    return piece.startswith(owed) or owed.startswith(piece)


class _Writer:
    """Puts tokens together to the output, and pays with their first bytes what is owed."""

    def __init__(self, model: Model, prompt: Prompt, stop: StopRule) -> None:
        self.out = Generation()
        self.ids = [*prompt.token_ids]
        self.owed = b"".join(model.vocabulary.pieces[i] for i in prompt.given_back)
        self._given_back = prompt.given_back
        self._model, self._stop = model, stop
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def choose(self, logits: Logits, no_end: bool) -> Step:
        """Return the next token; -1 when there is none."""
        if self.owed:
            return _best_owed(self._model, logits, self.owed, self._given_back)
        return _best(self._model, logits, no_end)

    def take(self, step: Step) -> bool:
        """Add a token; says whether it ends the output."""
        out = self.out
        if step.token_id < 0 or self._model.is_end(step.token_id):
            out.ended_by = "model"
            return True
        piece = self._model.vocabulary.pieces[step.token_id]
        new = self._decoder.decode(piece[len(self.owed) :])
        self.owed, self._given_back = self.owed[len(piece) :], self._given_back[1:]
        self.ids.append(step.token_id)
        out.text += new
        out.steps.append(step)
        out.ends.append(len(out.text))
        if new and self._stop(new):
            out.ended_by = "rule"
            return True
        return False


def _first_line(model: Model, draft: Sequence[int]) -> list[int]:
    """Tokens up to the first one with a new line in it: what comes behind it will not be asked for."""
    for n, token_id in enumerate(draft, 1):
        if b"\n" in model.vocabulary.pieces[token_id]:
            return list(draft[:n])
    return list(draft)


def heal(model: Model, text: str) -> tuple[list[int], tuple[int, ...]]:
    """Tokenise `text`, giving back its last token, and more where a cut after it would be as wrong.

    A cursor seldom stands where the tokenizer would cut: `retu|` is the tokens `ret` and `u`, and no continuation
    of `u` is `return`; an indentation's last space belongs to the next word's token. So the word at the cursor
    comes back (its last MAX_WORD_TOKENS tokens at most), and all white space when the cursor is behind some.
    Returns the tokens that stay, and those given back: of a `Speaker`, which may not agree, white space only.
    """
    if isinstance(model, Speaker):
        stays = text.rstrip(" \t") if model.can_ask_again else text
        return model.tokenize(stays), tuple(model.tokenize(text[len(stays) :]))
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


def _best_owed(model: Model, logits: Logits, owed: bytes, given_back: Sequence[int]) -> Step:
    """Return the likeliest token that agrees with the owed bytes; -1 when there is none.

    White space may be cut anywhere, since its last space belongs to what follows. A word may go on in a longer
    token, or as the tokenizer cut it; any other beginning of it (` ` of ` b`) is likely and leads nowhere.
    """
    import numpy as np

    shorter = model.vocabulary.beginning(owed) if _is_blank(owed) else list(given_back[:1])
    allowed = np.union1d(model.vocabulary.covering(owed), np.asarray(shorter, dtype=np.int64))
    if not len(allowed):
        return Step(-1, 0.0)
    best, rival = _two_best(logits[allowed])
    return Step(int(allowed[best.at]), best.logprob, int(allowed[rival.at]) if rival.at >= 0 else -1, rival.logprob)


def _best(model: Model, logits: Logits, no_end: bool) -> Step:
    """Return the likeliest token; with `no_end` the likeliest of those that do not end the output."""
    best, rival = _two_best(logits)
    if no_end and model.is_end(best.at):
        logits = logits.copy()
        while model.is_end(best.at):
            logits[best.at] = -math.inf
            best, rival = _two_best(logits)
    return Step(best.at, best.logprob, rival.at, rival.logprob)


class _Likely(NamedTuple):
    at: int
    logprob: float


def _two_best(logits: Logits) -> tuple[_Likely, _Likely]:
    """Index and log probability of the two largest logits; the second has index -1 when there is one only."""
    import numpy as np

    best = int(logits.argmax())
    top = float(logits[best])
    near = logits[logits > top - NEGLIGIBLE]
    log_sum = float(np.log(np.exp(near - top).sum()))
    if len(logits) < 2:
        return _Likely(best, -log_sum), _Likely(-1, -math.inf)
    rest = near[near < top]
    if len(near) - len(rest) > 1:  # several are equally likely
        second = int(np.flatnonzero(logits == top)[1])
    elif len(rest):
        second = int(np.flatnonzero(logits == rest.max())[0])
    else:
        return _Likely(best, -log_sum), _Likely(-1, -math.inf)
    return _Likely(best, -log_sum), _Likely(second, float(logits[second]) - top - log_sum)

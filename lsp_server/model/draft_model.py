"""A small model that drafts for a large one of the same vocabulary, where `kruk doctor` has measured that it pays.

In a context of its own it follows the large one's tokens, sequence by sequence, and says a few greedy tokens ahead,
which the large one evaluates in one batch with its newest. What is looked up costs nothing, and comes first.
Nobody waits while it reads a prompt: it does in idle time, or once the answer is so long that it is worth it.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import platform
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Literal, TypeAlias, get_args

from lsp_server.errors import ModelError, ModelLoadError
from lsp_server.model import memory
from lsp_server.model.adapters import Adapter
from lsp_server.model.base import CHAT, COMPLETION, NEAR, Evaluator
from lsp_server.model.draft import TRY_EVERY, TRY_WIDTH, WIDTHS, Drafter, Record
from lsp_server.model.registry import LocatedModel
from lsp_server.model.states import fingerprint
from lsp_server.paths import CacheFolder

Use: TypeAlias = Literal["completion", "chat"]

SEQUENCES: Mapping[Use, Collection[int]] = {"completion": (COMPLETION, NEAR), "chat": (CHAT,)}
WORDS: Mapping[Use, str] = {"completion": "completions", "chat": "chat and actions"}
SURE = 0.4  # a token that is less likely is not drafted; at 0.6 most of what would be right is lost (docs/log.md)
LEVEL = TRY_EVERY  # tokens that it may lag behind to be tried all the same
PAYS = 1.1  # times the speed alone that the speed with drafts must be

log = logging.getLogger(__name__)


class DraftModel:
    """The small model beside a large one. Belongs to the model's thread, as that one does."""

    def __init__(self, model: Evaluator, large: Evaluator, uses: Collection[Use], n_always: int = 0) -> None:
        """uses: what it drafts in. n_always: length of each draft, to measure by; 0: what pays most.

        Raises ModelLoadError when it cannot draft for `large`.
        """
        if reason := why_not(large, model):
            raise ModelLoadError(reason, "Take a smaller model of the same family")
        self.model = model
        self.n_said = self.n_right = 0
        self._sequences = frozenset(it for use in uses for it in SEQUENCES[use])
        self._n_always = n_always
        self._n_vocab = min(model.info.n_vocab, large.info.n_vocab)
        self._record = Record()
        self._n_refused = 0
        self._read_ms = model.drafter.costs_ms.get(WIDTHS[-1], 0.0) / WIDTHS[-1]  # for each token of a prompt

    def propose(
        self, drafter: Drafter, sequence: int, token_ids: Sequence[int], n_said: int, is_line: bool = False
    ) -> list[int]:
        """Say what may come after `token_ids`; nothing where that does not pay by what `drafter` knows of costs.

        n_said: tokens of the output so far. As many more are expected, and what drafts save on those is what
        reading the prompt may cost. is_line: nothing from the end of the line on. Raises Aborted.
        """
        n = self._length(drafter, sequence, token_ids, n_said)
        if not n:
            return []
        began = time.perf_counter()
        try:
            return self._say(sequence, token_ids, n, is_line)
        except ModelError as error:
            self._give_up(error)
            return []
        finally:
            drafter.pace.add(0, (time.perf_counter() - began) * 1e3)

    def tested(self, is_right: bool) -> None:
        """Hear whether one token was right. What follows the first wrong one is never tested."""
        self._record.add(is_right)
        self.n_right += is_right

    def follow(self, sequence: int, token_ids: Sequence[int]) -> None:
        """Read a prompt while nobody waits. Raises Aborted."""
        if sequence in self._sequences and len(token_ids) <= self.model.info.n_ctx:
            try:
                self.model.evaluate(sequence, token_ids)
            except ModelError as error:
                self._give_up(error)

    def _length(self, drafter: Drafter, sequence: int, token_ids: Sequence[int], n_said: int) -> int:
        """How many tokens to draft, 0 for none."""
        if sequence not in self._sequences or len(token_ids) + WIDTHS[-1] > self.model.info.n_ctx:
            return 0
        if self._n_always:
            return self._n_always
        each_ms = self.model.drafter.costs_ms.get(1, 0.0)
        n, gain = drafter.best_length(self._record.share, WIDTHS[-1] - 1, each_ms)
        n_missing = self.model.n_missing(sequence, token_ids)
        if n_missing > LEVEL and n_missing * self._read_ms > n_said * drafter.costs_ms.get(1, 0.0) * (1 - 1 / gain):
            return 0
        if not n and drafter.costs_ms:  # it paid once: whether it does again is only seen by trying
            self._n_refused += 1
            n = 0 if self._n_refused % TRY_EVERY else TRY_WIDTH - 1
        return n

    def _say(self, sequence: int, token_ids: Sequence[int], n: int, is_line: bool) -> list[int]:
        import numpy as np  # not at the top: the server answers `initialize` before it needs numpy

        ids = [*token_ids]
        for _ in range(n):
            began = time.perf_counter()
            evaluation = self.model.evaluate(sequence, ids)
            logits = self.model.logits()[: self._n_vocab]
            best = int(logits.argmax())
            is_sure = float(np.exp(logits - logits[best]).sum()) < 1 / SURE
            self._took(evaluation.n_evaluated, (time.perf_counter() - began) * 1e3)
            if not is_sure:
                if len(ids) == len(token_ids):
                    self._record.add(False)  # its time has brought nothing
                break
            if self.model.is_end(best) or (is_line and b"\n" in self.model.vocabulary.pieces[best]):
                break  # the large one comes to it all the same, and nothing is behind it
            ids.append(best)
        self.n_said += len(ids) - len(token_ids)
        return ids[len(token_ids) :]

    def _took(self, n_evaluated: int, ms: float) -> None:
        if n_evaluated > WIDTHS[-1]:
            self._read_ms = ms / n_evaluated
        elif n_evaluated:
            self.model.drafter.measured(n_evaluated, ms)

    def _give_up(self, error: ModelError) -> None:
        log.warning("`%s` drafts no more: %s", self.model.info.name, error)
        self._sequences = frozenset()


def why_not(large: Evaluator, small: Evaluator) -> str:
    """Say why one model cannot draft for another; "" when it can.

    A vocabulary may be longer by tokens that stand for nothing: the sizes of a family are filled up differently.
    """
    ours, theirs = large.vocabulary, small.vocabulary
    for info in (large.info, small.info):
        if not info.can_truncate:
            return f"`{info.name}` cannot take tokens back, as drafts need it"
    names = f"`{small.info.name}` has another vocabulary than `{large.info.name}`"
    for text in sorted({*ours.control, *theirs.control}):
        one, other = ours.control.get(text), theirs.control.get(text)
        if one != other:
            return f"{names}: `{text}` is {_number(other)} in it, not {_number(one)}"
    shorter, longer = sorted((ours.pieces, theirs.pieces), key=len)
    for i, piece in enumerate(longer):
        if piece != (shorter[i] if i < len(shorter) else b""):
            return f"{names}: token {i} is {_piece(theirs.pieces, i)} in it, not {_piece(ours.pieces, i)}"
    return ""


def _number(token_id: int | None) -> str:
    return "no token" if token_id is None else f"token {token_id}"


def _piece(pieces: Sequence[bytes], at: int) -> str:
    return f"`{pieces[at].decode('utf-8', 'replace')}`" if at < len(pieces) and pieces[at] else "nothing"


@dataclass(frozen=True)
class Speeds:
    """What was measured in one use: tokens a second without and with drafts; drafted tokens, and the right ones."""

    alone: float
    drafted: float
    n_said: int
    n_right: int

    @property
    def pays(self) -> bool:
        """Whether drafts are worth their memory."""
        return self.drafted >= PAYS * self.alone

    def __str__(self) -> str:
        """It in words."""
        right = f"{self.n_right} of {self.n_said} drafted tokens right"
        return f"{self.drafted:.1f} tokens a second with drafts, {self.alone:.1f} without ({right})"


class Records:
    """What was measured on this machine, kept in the cache folder."""

    def __init__(self) -> None:
        self._folder = CacheFolder("drafts", 1 << 20)

    def get(self, key: str) -> dict[Use, Speeds] | None:
        """What is known of a pair; None when that was not measured."""
        try:
            return parse_record(json.loads(self._folder.at(key).read_bytes())) or None
        except (OSError, ValueError, TypeError):
            return None

    def put(self, key: str, record: Mapping[Use, Speeds]) -> None:
        """Keep what was measured."""
        self._folder.write(key, json.dumps({use: asdict(speeds) for use, speeds in record.items()}).encode())


def parse_record(values: Mapping[str, Mapping[str, float]]) -> dict[Use, Speeds]:
    """Read a record from JSON. Raises TypeError when it is none."""
    return {use: Speeds(**values[use]) for use in get_args(Use) if use in values}  # type: ignore[arg-type]


def key_of(large: LocatedModel, adapters: Sequence[Adapter], small: LocatedModel, n_threads: int) -> str:
    """Name of a pair's record: both files, the adapters, llama.cpp, machine and threads. Raises OSError."""
    what = [fingerprint(it.path) for it in (large, small)]
    what += [fingerprint(it.path) + repr(it.scale).encode() for it in adapters]
    version = importlib.metadata.version("llama-cpp-python")
    what.append(f"{version} {platform.node()} {n_threads or memory.default_threads()}".encode())
    return blake2b(b"".join(what), digest_size=16).hexdigest()


def verdict(large: str, small: str, record: Mapping[Use, Speeds]) -> str:
    """Say in one sentence where drafts by a model pay, and so are made."""
    where = ", ".join(WORDS[use] for use, speeds in record.items() if speeds.pays)
    return f"drafts by `{small}` for `{large}` {f'pay in {where}' if where else 'do not pay here, and are not made'}"

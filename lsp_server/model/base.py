"""What Kruk asks of a model. Knows nothing of prompts, files or LSP.

An `Evaluator` gives logits, and `generate` chooses: `llama.py` is the real one, `fake.py` the one for tests. A
`Speaker` chooses itself and is listened to: `remote.py`, a server. Whoever makes prompts sees a `Model`: either.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lsp_server.model.catalogue import Fim
    from lsp_server.model.draft import Drafter
    from lsp_server.model.draft_model import DraftModel

Logits: TypeAlias = "npt.NDArray[np.float32]"
TokenIds: TypeAlias = "npt.NDArray[np.int64]"
Tell: TypeAlias = Callable[[int], None]  # takes percent, 0 to 100

COMPLETION, NEAR, CHAT, BRANCH, SPARE = range(5)  # the sequences of the KV cache
N_SEQUENCES = 5
MAX_LOGITS = 16  # rows that one evaluation can have logits of


class Aborted(Exception):
    """An evaluation stopped because `abort` was called. What was finished stays in the KV cache."""


class Vocabulary:
    """The bytes of every token, and which tokens may come first when the output has to begin with given bytes.

    `control`: ids of the tokens with a meaning beyond their text, by that text.
    """

    def __init__(self, pieces: Sequence[bytes], control: Mapping[str, int] | None = None) -> None:
        self.pieces = pieces
        self.control = control or {}

    @cached_property
    def _order(self) -> TokenIds:
        import numpy as np  # not at the top: the server answers `initialize` before it needs numpy

        ids = sorted((i for i, piece in enumerate(self.pieces) if piece), key=self.pieces.__getitem__)
        return np.asarray(ids, dtype=np.int64)

    @cached_property
    def _sorted_pieces(self) -> list[bytes]:
        return [self.pieces[i] for i in self._order]

    def covering(self, owed: bytes) -> TokenIds:
        """Token ids whose bytes begin with `owed`, which is not empty. Sixty thousand of them begin with a space."""
        low = bisect.bisect_left(self._sorted_pieces, owed)
        stem = owed.rstrip(b"\xff")
        if not stem:
            return self._order[low:]
        successor = stem[:-1] + bytes([stem[-1] + 1])
        return self._order[low : bisect.bisect_left(self._sorted_pieces, successor)]

    def beginning(self, owed: bytes) -> list[int]:
        """Token ids whose bytes are a beginning of `owed`, and shorter than it."""
        ids: list[int] = []
        for length in range(1, len(owed)):
            at = bisect.bisect_left(self._sorted_pieces, owed[:length])
            while at < len(self._order) and self._sorted_pieces[at] == owed[:length]:
                ids.append(int(self._order[at]))
                at += 1
        return ids


@dataclass(frozen=True)
class FimIds:
    """A model's own fill-in-the-middle format, as token ids."""

    format: Fim
    prefix: int
    suffix: int
    middle: int | None


@dataclass(frozen=True)
class Server:
    """Where a model runs that is not in this process. `is_local`: on this machine."""

    url: str
    kind: str
    is_local: bool


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a loaded model."""

    name: str
    path: Path
    n_vocab: int
    n_ctx: int
    n_threads: int
    is_instruct: bool
    chat_family: str | None
    fim: FimIds | None
    bos: int | None  # the token id a prompt begins with, for the models that want one
    control_texts: tuple[str, ...]  # texts of tokens that must never be shown
    anchor_lines: int = 8
    can_truncate: bool = True  # whether a sequence can lose its end; if not, it is only ever begun anew
    n_window: int = 0  # tokens that its layers with a sliding window see; 0: it has none
    server: Server | None = None
    drafts: str = ""  # which small model drafts for it, or why the one that was named does not

    @property
    def memory_kind(self) -> str:
        """What its KV cache can do, in words for people."""
        if self.server:
            return "the server's own"
        if not self.can_truncate:
            return "append only: every edit evaluates the prompt anew; no drafts, no second suggestions"
        if self.n_window:
            return f"sliding window of {self.n_window} tokens: prompts are not kept between runs"
        return "full attention: everything evaluated can be reused"


@dataclass(frozen=True)
class Evaluation:
    """How many tokens of a prompt were in the KV cache, and how many had to be evaluated."""

    n_reused: int
    n_evaluated: int


@dataclass(frozen=True)
class Step:
    """One token of the output with its log probability, and the runner-up in its place (-1: there was none).

    Probabilities are among the tokens that were allowed there.
    """

    token_id: int
    logprob: float
    rival_id: int = -1
    rival_logprob: float = -math.inf


@dataclass(frozen=True)
class SavedState:
    """What a sequence held, and the bytes that put it back."""

    token_ids: tuple[int, ...]
    data: bytes | memoryview


class _Model(Protocol):
    """What both kinds offer. Every method but `abort` belongs to the one thread that owns it."""

    info: ModelInfo
    vocabulary: Vocabulary

    def tokenize(self, text: str) -> list[int]:
        """Token ids of user text: never a control token, whatever the text says."""

    def token_id(self, text: str) -> int | None:
        """Return the id of the one token written `text`, a control token perhaps; None when there is none."""

    def is_end(self, token_id: int) -> bool:
        """Whether this token ends the output: end of text, of turn, or any token of the FIM format."""

    def evaluate(self, sequence: int, token_ids: Sequence[int], n_logits: int = 1) -> Evaluation:
        """Make `sequence` begin with `token_ids` and have the logits of the last `n_logits`. Raises Aborted."""

    def n_missing(self, sequence: int, token_ids: Sequence[int]) -> int:
        """How many tokens `evaluate` would have to evaluate."""

    def copy(self, source: int, target: int, n_tokens: int) -> None:
        """Make `target` hold the first `n_tokens` of `source`, sharing their cells."""

    @property
    def state_key(self) -> bytes:
        """Everything that a saved state depends on besides its tokens, as 32 bytes."""

    def held(self, sequence: int) -> Sequence[int]:
        """Token ids that a sequence holds; the next evaluation changes them."""

    def save(self, sequence: int) -> SavedState | None:
        """Copy what a sequence holds; None when that is nothing, or could not be cut once it is restored."""

    def restore(self, sequence: int, state: SavedState) -> bool:
        """Make a sequence hold a saved state, without logits; says whether it does, or else it is empty.

        The bytes must be what `save` gave for this `state_key`: others may end the process.
        """

    def abort(self) -> None:
        """Stop the running evaluation as soon as possible. May be called from any thread."""

    def allow(self) -> None:
        """Take back `abort`: the next evaluation may run."""

    def close(self) -> None:
        """Free everything. The model is unusable afterwards."""


class Evaluator(_Model, Protocol):
    """A model that leaves it to others which token is next."""

    drafter: Drafter
    draft_model: DraftModel | None

    def logits(self, row: int = -1) -> Logits:
        """Logits (n_vocab,) of one row of the newest evaluation, -1 the last; a view that the next overwrites."""


class Speech(Protocol):
    """An output on its way."""

    ended_by: str  # "model" or "length", once it has ended
    evaluation: Evaluation  # of the prompt, as far as it is known

    def next(self) -> Step | None:
        """Wait for the next token; None at the end. Raises Aborted, after which it goes on."""

    def close(self) -> None:
        """Want no more of it."""


class Speaker(_Model):
    """A model that says the likeliest tokens by itself. Its KV cache is its own affair.

    `can_ask_again`: whether a prompt costs little when another that is longer at its end comes right after it.
    """

    can_ask_again: bool

    def speak(self, token_ids: Sequence[int], n_most: int) -> Speech:
        """Begin to continue a prompt by at most `n_most` tokens."""
        raise NotImplementedError

    def evaluate(self, sequence: int, token_ids: Sequence[int], n_logits: int = 1) -> Evaluation:
        """Have a prompt evaluated ahead of time, where that can be done."""
        return Evaluation(0, 0)

    def n_missing(self, sequence: int, token_ids: Sequence[int]) -> int:
        """None that are known of."""
        return 0

    def copy(self, source: int, target: int, n_tokens: int) -> None:
        """Copy nothing."""

    def held(self, sequence: int) -> Sequence[int]:
        """Nothing is held here."""
        return ()

    def save(self, sequence: int) -> SavedState | None:
        """There is nothing to save."""
        return None

    def restore(self, sequence: int, state: SavedState) -> bool:
        """Nothing can be restored."""
        return False


Model: TypeAlias = Evaluator | Speaker

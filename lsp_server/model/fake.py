"""A model for tests of everything around the model: bytes for tokens, and answers from a script.

It keeps the same books as the real one (a mirror of each sequence, reuse of the common prefix, abort), so a
test can count what was evaluated. With a gate, every evaluation waits until the test lets it pass.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lsp_server.model.base import N_SEQUENCES, Aborted, Evaluation, FimIds, Logits, ModelInfo, SavedState, Vocabulary
from lsp_server.model.catalogue import Fim
from lsp_server.model.draft import Drafter
from lsp_server.model.draft_model import DraftModel

PREFIX, SUFFIX, MIDDLE, END, START_TURN, END_TURN = range(256, 262)
_CONTROL = {
    "<|prefix|>": PREFIX, "<|suffix|>": SUFFIX, "<|middle|>": MIDDLE,
    "<|end|>": END, "<|im_start|>": START_TURN, "<|im_end|>": END_TURN,
}  # fmt: skip
FIM = Fim(order="psm", prefix="<|prefix|>", suffix="<|suffix|>", middle="<|middle|>")

Answer = Callable[[str], str]  # prompt, control tokens written out, to what the model says after it


class Gate:
    """Lets evaluations pass one by one. Open from the start unless `close` is called."""

    def __init__(self) -> None:
        self._passes = threading.Semaphore(0)
        self.is_closed = False
        self.n_waiting = self.n_passed = 0

    def close(self) -> None:
        """From now on every evaluation waits."""
        self.is_closed = True

    def let(self, n: int = 1) -> None:
        """Let `n` evaluations pass."""
        self._passes.release(n)

    def open(self) -> None:
        """Let everything pass."""
        self.is_closed = False
        self._passes.release(1000)

    def pass_through(self, is_aborted: threading.Event) -> None:
        """Wait for a pass. Raises Aborted as soon as the model is told to stop."""
        self.n_waiting += 1
        try:
            while self.is_closed and not self._passes.acquire(timeout=0.005):
                if is_aborted.is_set():
                    raise Aborted
            self.n_passed += 1
        finally:
            self.n_waiting -= 1


class FakeModel:
    """A `Model` (see base.py) whose tokens are bytes and whose next token is the next byte of its answer."""

    def __init__(
        self, answer: Answer, *, second: Answer | None = None, has_fim: bool = True, gate: Gate | None = None
    ) -> None:
        """second: what it would nearly as soon say."""
        self._answer, self._second = answer, second
        self._gate = gate or Gate()
        self._is_aborted = threading.Event()
        self._held: list[list[int]] = [[] for _ in range(N_SEQUENCES)]
        self._at: tuple[int, int] = (0, 0)
        self.vocabulary = Vocabulary([*(bytes([i]) for i in range(256)), *([b""] * len(_CONTROL))], _CONTROL)
        self.info = ModelInfo(
            name="fake",
            path=Path("fake.gguf"),
            n_vocab=256 + len(_CONTROL),
            n_ctx=8192,
            n_threads=1,
            is_instruct=True,
            chat_family="chatml",
            fim=FimIds(FIM, PREFIX, SUFFIX, MIDDLE) if has_fim else None,
            bos=None,
            control_texts=tuple(_CONTROL),
        )
        self.drafter = Drafter()
        self.draft_model: DraftModel | None = None
        self.state_key = bytes(32)

    def tokenize(self, text: str) -> list[int]:
        """One token for each byte."""
        return list(text.encode())

    def token_id(self, text: str) -> int | None:
        """Control tokens by their text."""
        return _CONTROL.get(text)

    def is_end(self, token_id: int) -> bool:
        """Every control token ends the output."""
        return token_id >= 256

    def evaluate(self, sequence: int, token_ids: Sequence[int], n_logits: int = 1) -> Evaluation:
        """Hold exactly these tokens."""
        self._gate.pass_through(self._is_aborted)
        if self._is_aborted.is_set():
            raise Aborted
        n_missing = self.n_missing(sequence, token_ids)
        self._held[sequence] = list(token_ids)
        self._at = (sequence, len(token_ids))
        return Evaluation(len(token_ids) - n_missing, n_missing)

    def n_missing(self, sequence: int, token_ids: Sequence[int]) -> int:
        """All but the longest common prefix, and the last token always."""
        held = self._held[sequence]
        n_same = 0
        while n_same < min(len(held), len(token_ids) - 1) and held[n_same] == token_ids[n_same]:
            n_same += 1
        return len(token_ids) - n_same

    def copy(self, source: int, target: int, n_tokens: int) -> None:
        """Hold the beginning of another sequence."""
        self._held[target] = self._held[source][:n_tokens]

    def logits(self, row: int = -1) -> Logits:
        """All for the next byte of the answer to what the sequence holds; the end token when it is said."""
        sequence, length = self._at
        held = self._held[sequence][: length + row + 1]
        logits = np.zeros(self.info.n_vocab, dtype=np.float32)
        if self._second and (second := _next(self._second, held)) != END:
            logits[second] = 9.5
        logits[_next(self._answer, held)] = 10.0
        logits[END] += 1.0
        logits[ord("\n")] += 0.5  # what it says where it must say something
        return logits

    def held(self, sequence: int) -> list[int]:
        """The mirror itself."""
        return self._held[sequence]

    def save(self, sequence: int) -> SavedState | None:
        """Four bytes for each token."""
        held = self._held[sequence]
        return SavedState(tuple(held), array("i", held).tobytes()) if held else None

    def restore(self, sequence: int, state: SavedState) -> bool:
        """Hold what the bytes say: a state whose tokens are others is damaged."""
        held = list(array("i", state.data))
        is_sound = held == list(state.token_ids)
        self._held[sequence] = held if is_sound else []
        return is_sound

    def abort(self) -> None:
        """Stop at the gate."""
        self._is_aborted.set()
        if self.draft_model:
            self.draft_model.model.abort()

    def allow(self) -> None:
        """Go on."""
        self._is_aborted.clear()
        if self.draft_model:
            self.draft_model.model.allow()

    def close(self) -> None:
        """Nothing to free."""


def _next(answer: Answer, held: list[int]) -> int:
    """Return the token after `held`."""
    names = {i: text for text, i in _CONTROL.items()}
    said = b"".join(names[i].encode() if i >= 256 else bytes([i]) for i in held)
    whole = said.decode("utf-8", "ignore")
    n_dangling = len(said) - len(whole.encode())  # bytes of a character that is not complete yet
    rest = answer(whole).encode()[n_dangling:]
    return rest[0] if rest else END


def knowing(*texts: str) -> Answer:
    """Answers like a model that has seen the finished files: it fills a hole with what they have there."""

    def answer(prompt: str) -> str:
        head, _, rest = prompt.removeprefix("<|prefix|>").partition("<|suffix|>")
        suffix, _, tail = rest.partition("<|middle|>")
        for text in texts:
            if (at := text.find(head + tail)) >= 0:
                left = text[at + len(head + tail) :]
                end = left.find(suffix) if suffix.strip() else len(left)
                return left[: max(end, 0)]
        return ""

    return answer


def saying(text: str) -> Answer:
    """Answers every conversation with the same words."""

    def answer(prompt: str) -> str:
        said = prompt.rpartition("<|im_start|>assistant\n")[2]
        return text[len(said) :] if text.startswith(said) else ""

    return answer

"""A model on llama.cpp, through the low-level calls of llama-cpp-python.

One context with a unified KV cache, several sequences, a mirror of what each one holds, and a native
abort callback. Everything here runs on one thread, except `Llama.abort`, which only writes a byte.
The `llama_cpp.Llama` class is not used: its FIM inserts token 0, its detokeniser loses text, and it
cannot be aborted.
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np

from lsp_server import __version__
from lsp_server.errors import ModelLoadError
from lsp_server.model import memory
from lsp_server.model.adapters import Adapter
from lsp_server.model.base import (
    MAX_LOGITS,
    N_SEQUENCES,
    Aborted,
    Evaluation,
    Logits,
    ModelInfo,
    SavedState,
    Tell,
    Vocabulary,
)
from lsp_server.model.draft import WIDTHS, Drafter
from lsp_server.model.draft_model import DraftModel
from lsp_server.model.llama_library import last_words, lib, load_weights, use_adapters
from lsp_server.model.llama_vocabulary import LlamaVocabulary
from lsp_server.model.registry import LocatedModel
from lsp_server.model.rows import Rows
from lsp_server.model.states import fingerprint
from lsp_server.model.threads import Threads, choose

N_BATCH = 512  # a larger batch ends the process: llama_decode asserts it
N_MEASUREMENTS = 2  # of each width; a neighbour may disturb one
N_UBATCH = 64  # what an abort loses at most; 64 evaluates as fast as 512 on two cores (docs/log.md)

_NOT_ENOUGH_CELLS, _ABORTED = 1, 2  # return codes of llama_decode
_Bytes = ctypes.POINTER(ctypes.c_uint8)


def load(
    located: LocatedModel,
    n_ctx: int,
    n_threads: int,
    tell: Tell,
    keep_on: Callable[[], bool],
    adapters: Sequence[Adapter] = (),
) -> Llama:
    """Load a model. `tell` hears the percent; loading stops when `keep_on` says no. Raises ModelLoadError.

    n_threads: 0 chooses by measuring, and goes on measuring.
    """
    return Llama(located, n_ctx, n_threads, tell, keep_on, adapters)


class Llama:
    """A `Model` (see base.py) on llama.cpp."""

    def __init__(
        self,
        located: LocatedModel,
        n_ctx: int,
        n_threads: int,
        tell: Tell,
        keep_on: Callable[[], bool],
        adapters: Sequence[Adapter],
    ) -> None:
        self.draft_model: DraftModel | None = None
        self._adapters = adapters
        self._model: Any = None
        self._ctx: Any = None
        self._batch: Any = None
        try:
            self._model = load_weights(str(located.path), tell, keep_on)
            self._make_context(n_ctx, n_threads or memory.default_threads())
            use_adapters(self._model, self._ctx, adapters)
        except BaseException:
            self.close()
            raise
        self._vocabulary = vocabulary = LlamaVocabulary(self._model, located.family.fim if located.family else None)
        self.vocabulary: Vocabulary = vocabulary
        self._held: list[list[int]] = [[] for _ in range(N_SEQUENCES)]
        self._rows = Rows(vocabulary.n)
        self._newest: tuple[int, int] = (0, 0)  # sequence and length of the newest evaluation
        self._remembered: Logits | None = None  # in place of the newest evaluation's
        self._threads: Threads | None = None
        self.info = ModelInfo(
            name=located.name,
            path=located.path,
            n_vocab=vocabulary.n,
            n_ctx=lib.llama_n_ctx(self._ctx),
            n_threads=n_threads or self._choose_threads(located),
            is_instruct=located.is_instruct,
            chat_family=located.family.chat if located.family else None,
            fim=vocabulary.fim,
            bos=vocabulary.bos,
            control_texts=vocabulary.control_texts,
            anchor_lines=vocabulary.fim.format.anchor_lines if vocabulary.fim else 8,
            can_truncate=self._warm_up(),
            n_window=max(0, lib.llama_model_n_swa(self._model)),
        )
        self.drafter = Drafter(self._measure(WIDTHS))

    # -- what a Model offers ------------------------------------------------------------------------------

    def tokenize(self, text: str) -> list[int]:
        """Token ids of user text, without any control token."""
        return self._vocabulary.tokenize(text)

    def token_id(self, text: str) -> int | None:
        """Return the id of the control token written `text`, or None."""
        return self._vocabulary.token_id(text)

    def is_end(self, token_id: int) -> bool:
        """Whether the output ends with this token."""
        return self._vocabulary.is_end(token_id)

    def evaluate(self, sequence: int, token_ids: Sequence[int], n_logits: int = 1) -> Evaluation:
        """Make `sequence` begin with `token_ids`, reusing the longest common prefix. Raises Aborted.

        Where those and their logits are there already, nothing is evaluated, and what is behind them stays.
        """
        wanted = list(token_ids)
        n_same = _common(self._held[sequence], wanted)
        self._remembered = self._rows.get(wanted) if n_same == len(wanted) and n_logits == 1 else None
        if self._remembered is not None:
            return Evaluation(n_same, 0)
        n_same = min(n_same, len(wanted) - n_logits)
        self._truncate(sequence, n_same)
        start = n_same = len(self._held[sequence])
        while start < len(wanted):
            n_left = len(wanted) - start
            n = n_left if n_left <= N_BATCH else min(N_BATCH, n_left - n_logits)  # all logits in the last batch
            self._decode(sequence, wanted[start : start + n], n_logits if n == n_left else 1)
            start += n
        return Evaluation(n_same, len(wanted) - n_same)

    def n_missing(self, sequence: int, token_ids: Sequence[int]) -> int:
        """How many tokens `evaluate` would have to evaluate."""
        return len(token_ids) - min(_common(self._held[sequence], list(token_ids)), len(token_ids) - 1)

    def copy(self, source: int, target: int, n_tokens: int) -> None:
        """Share the first cells of one sequence with another; nothing is copied but their numbers."""
        if not self.info.can_truncate:
            return  # a state cannot be cut: the target evaluates what it needs
        self._truncate(target, 0)
        n = min(n_tokens, len(self._held[source]))
        lib.llama_memory_seq_cp(self._memory, source, target, 0, n)
        self._held[target] = self._held[source][:n]

    def logits(self, row: int = -1) -> Logits:
        """Logits (n_vocab,) of a row of the newest evaluation, which is remembered; a view."""
        if self._remembered is not None:
            return self._remembered
        pointer = lib.llama_get_logits_ith(self._ctx, row)
        logits = np.ctypeslib.as_array(pointer, shape=(self.info.n_vocab,))
        sequence, length = self._newest
        self._rows.put(self._held[sequence][: length + 1 + row], logits)
        return logits

    @cached_property
    def state_key(self) -> bytes:
        """Of the weights with their adapters, this llama.cpp and this Kruk, which decides how the context is made."""
        try:
            weights = fingerprint(self.info.path)
            weights += b"".join(fingerprint(it.path) + repr(it.scale).encode() for it in self._adapters)
        except OSError:  # deleted meanwhile: no state is found, and none will be
            weights = os.urandom(32)
        versions = f"{__version__} {lib.__version__} {lib.llama_version().decode()}"
        return blake2b(versions.encode() + weights, digest_size=32).digest()

    def held(self, sequence: int) -> list[int]:
        """The mirror itself."""
        return self._held[sequence]

    def save(self, sequence: int) -> SavedState | None:
        """Copy the cells of a sequence."""
        held = self._held[sequence]
        if not held or not self.info.can_truncate or 0 < self.info.n_window <= len(held):
            return None  # layers with a sliding window only give what is in it, which cannot be cut
        data = np.empty(lib.llama_state_seq_get_size(self._ctx, sequence), dtype=np.uint8)
        n = lib.llama_state_seq_get_data(self._ctx, data.ctypes.data_as(_Bytes), len(data), sequence)
        return SavedState(tuple(held), data.data) if n == len(data) else None

    def restore(self, sequence: int, state: SavedState) -> bool:
        """Put saved cells into a sequence, in place of others' when there is no room."""
        self._truncate(sequence, 0)
        n, data = len(state.token_ids), np.frombuffer(state.data, dtype=np.uint8)
        if n <= self.info.n_ctx:
            arguments = (self._ctx, data.ctypes.data_as(_Bytes), len(data), sequence)
            n_read = lib.llama_state_seq_set_data(*arguments)
            if not n_read and self._forget_others(sequence):
                n_read = lib.llama_state_seq_set_data(*arguments)
            first = lib.llama_memory_seq_pos_min(self._memory, sequence)
            last = lib.llama_memory_seq_pos_max(self._memory, sequence)
            if (n_read, first, last) == (len(data), 0, n - 1):
                self._held[sequence] = list(state.token_ids)
                return True
            lib.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        return False

    def abort(self) -> None:
        """Stop the running evaluation, the draft model's too, at the next node of its graph."""
        self._flag[0] = b"x"
        if self.draft_model:
            self.draft_model.model.abort()

    def allow(self) -> None:
        """Let the next evaluation run."""
        self._flag[0] = b"\0"
        if self.draft_model:
            self.draft_model.model.allow()

    def close(self) -> None:
        """Free batch, context and weights, in the only order that does not crash; the draft model first."""
        if self.draft_model:
            self.draft_model.model.close()
            self.draft_model = None
        if self._batch is not None:
            lib.llama_batch_free(self._batch)
        if self._ctx is not None:
            lib.llama_free(self._ctx)
        if self._model is not None:
            lib.llama_model_free(self._model)
        self._model = self._ctx = self._batch = None

    # -- the KV cache -------------------------------------------------------------------------------------

    def _truncate(self, sequence: int, length: int) -> None:
        """Keep the first `length` tokens of a sequence; all are dropped where its memory kind cannot keep a part."""
        held = self._held[sequence]
        if length >= len(held):
            return
        if lib.llama_memory_seq_rm(self._memory, sequence, length, -1):
            del held[length:]
        else:  # recurrent and hybrid models only forget as a whole
            lib.llama_memory_seq_rm(self._memory, sequence, -1, -1)
            held.clear()

    def _decode(self, sequence: int, token_ids: Sequence[int], n_logits: int) -> None:
        """Evaluate up to N_BATCH tokens at the end of a sequence; logits for the last `n_logits`."""
        held, n = self._held[sequence], len(token_ids)
        start = len(held)
        self._tokens[:n] = token_ids
        self._positions[:n] = range(start, start + n)
        self._wants_logits[:n] = 0
        self._wants_logits[n - n_logits : n] = 1
        for i in range(n):
            self._batch.seq_id[i][0] = sequence
        self._batch.n_tokens = n
        began = time.perf_counter()
        code = lib.llama_decode(self._ctx, self._batch)
        if code == _NOT_ENOUGH_CELLS and self._forget_others(sequence):
            code = lib.llama_decode(self._ctx, self._batch)
        if code == 0:
            held.extend(token_ids)
            self._newest = (sequence, len(held))
            if self._threads and (n_threads := self._threads.told(n, (time.perf_counter() - began) * 1e3)):
                lib.llama_set_n_threads(self._ctx, n_threads, n_threads)
            return
        if code == _ABORTED:  # finished ubatches stay: learn how far it came
            n_kept = lib.llama_memory_seq_pos_max(self._memory, sequence) + 1
            held.extend(token_ids[: max(0, n_kept - start)])
            del held[max(0, n_kept) :]
            raise Aborted
        lib.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        held.clear()
        if code == _NOT_ENOUGH_CELLS:
            raise ModelLoadError(
                f"The text needs more than the {self.info.n_ctx} tokens that the KV cache holds",
                "Raise `kruk.contextSize`, or ask about less text at once.",
            )
        raise ModelLoadError(f"llama.cpp could not evaluate the prompt (code {code}): {last_words()}")

    def _forget_others(self, sequence: int) -> bool:
        """Drop every other sequence to make room; say whether there was any."""
        others = [other for other in range(N_SEQUENCES) if other != sequence and self._held[other]]
        for other in others:
            self._truncate(other, 0)
        return bool(others)

    # -- loading ------------------------------------------------------------------------------------------

    def _make_context(self, n_ctx: int, n_threads: int) -> None:
        self._flag = (ctypes.c_char * 2)(b"\0", b"\0")
        params = lib.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_batch, params.n_ubatch = N_BATCH, N_UBATCH
        params.n_seq_max, params.kv_unified = N_SEQUENCES, True
        params.n_outputs_max = MAX_LOGITS  # the buffer for logits is 300 MB otherwise
        params.n_threads = params.n_threads_batch = n_threads
        # strlen of our two bytes is 0 (go on) or 1 (abort): a native callback, since a Python one would be
        # called with the GIL for every node of the graph.
        libc = ctypes.cdll.msvcrt if sys.platform == "win32" else ctypes.CDLL(None)
        params.abort_callback = ctypes.cast(libc.strlen, lib.ggml_abort_callback)
        params.abort_callback_data = ctypes.cast(self._flag, ctypes.c_void_p)
        self._ctx = lib.llama_init_from_model(self._model, params)
        if not self._ctx:
            self._ctx = None
            raise ModelLoadError(
                f"llama.cpp could not make a context of {n_ctx} tokens: {last_words()}",
                "Lower `kruk.contextSize`, or take a smaller model.",
            )
        self._memory = lib.llama_get_memory(self._ctx)
        self._batch = lib.llama_batch_init(N_BATCH, 0, 1)
        self._tokens = np.ctypeslib.as_array(self._batch.token, (N_BATCH,))
        self._positions = np.ctypeslib.as_array(self._batch.pos, (N_BATCH,))
        self._wants_logits = np.ctypeslib.as_array(self._batch.logits, (N_BATCH,))
        np.ctypeslib.as_array(self._batch.n_seq_id, (N_BATCH,))[:] = 1

    def _choose_threads(self, located: LocatedModel) -> int:
        """Measure how many threads are fastest, or know it from before; from now on it may change."""

        def measure(n_threads: int, n_tokens: int) -> float:
            lib.llama_set_n_threads(self._ctx, n_threads, n_threads)
            began = time.perf_counter()
            self._decode(0, [0] * n_tokens, 1)
            ms = (time.perf_counter() - began) * 1e3
            self._truncate(0, 0)
            return ms

        n_most, header = memory.default_threads(), located.header
        what = (header.size_bytes, header.n_embd, n_most, os.cpu_count(), platform.node(), lib.__version__)
        self._threads = choose(n_most, blake2b(repr(what).encode(), digest_size=16).hexdigest(), measure)
        lib.llama_set_n_threads(self._ctx, self._threads.n, self._threads.n)
        return self._threads.n

    def _warm_up(self) -> bool:
        """Pay for page faults and the graph before the first request does; says whether sequences can be cut."""
        for n in (2, 1):
            self._decode(0, [0] * n, 1)
        can_truncate = bool(lib.llama_memory_seq_rm(self._memory, 0, 2, -1))
        lib.llama_memory_seq_rm(self._memory, 0, -1, -1)
        self._held[0].clear()
        return can_truncate

    def _measure(self, widths: Sequence[int]) -> dict[int, float]:
        """Milliseconds that a batch of each width takes at best, with the logits of all its tokens."""
        took_ms = dict.fromkeys(widths, math.inf)
        for width in [*widths] * N_MEASUREMENTS:
            started = time.perf_counter()
            self._decode(0, [0] * width, width)
            took_ms[width] = min(took_ms[width], (time.perf_counter() - started) * 1e3)
        self._truncate(0, 0)
        return took_ms


def _common(held: Sequence[int], wanted: Sequence[int]) -> int:
    """Return the length of the longest common prefix of two token lists."""
    n = min(len(held), len(wanted))
    if held[:n] == wanted[:n]:
        return n
    for i in range(n):
        if held[i] != wanted[i]:
            return i
    return n

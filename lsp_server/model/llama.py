"""llama.cpp through the low-level calls of llama-cpp-python; the only importer of `llama_cpp`.

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
from collections import deque
from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Any

# OpenMP reads these when it is loaded. A thread that sleeps at each barrier makes two threads as slow as one; one
# that spins for long costs a busy neighbour its core, and us ours. So it spins for some 50 microseconds (libgomp),
# and where that cannot be said it sleeps. And a failed assertion must not start a debugger.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
os.environ.setdefault("GGML_NO_BACKTRACE", "1")

import llama_cpp as lib
import numpy as np

from lsp_server import __version__
from lsp_server.errors import ModelLoadError
from lsp_server.model import memory
from lsp_server.model.base import (
    MAX_LOGITS,
    N_SEQUENCES,
    Aborted,
    Evaluation,
    FimIds,
    Logits,
    ModelInfo,
    SavedState,
    Tell,
    Vocabulary,
)
from lsp_server.model.catalogue import Fim
from lsp_server.model.draft import WIDTHS, Drafter
from lsp_server.model.registry import LocatedModel
from lsp_server.model.states import fingerprint
from lsp_server.model.threads import Threads, choose

N_BATCH = 512  # a larger batch ends the process: llama_decode asserts it
N_MEASUREMENTS = 2  # of each width; a neighbour may disturb one
N_UBATCH = 64  # what an abort loses at most; 64 evaluates as fast as 512 on two cores (docs/log.md)

_NOT_ENOUGH_CELLS, _ABORTED = 1, 2  # return codes of llama_decode
_CONTROL, _USER_DEFINED = lib.LLAMA_TOKEN_ATTR_CONTROL, lib.LLAMA_TOKEN_ATTR_USER_DEFINED

_Bytes = ctypes.POINTER(ctypes.c_uint8)

_log: deque[str] = deque(maxlen=20)


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _on_log(level: int, text: bytes, _data: object) -> None:
    if level >= 3:  # ggml: 2 info, 3 warn, 4 error, 5 continues the line before
        _log.append(text.decode("utf-8", "replace").rstrip())


lib.llama_log_set(_on_log, ctypes.c_void_p(0))


def build_info() -> str:
    """Which instruction sets this build of llama.cpp uses, in its own words."""
    return str(lib.llama_print_system_info().decode("utf-8", "replace")).strip()


def load(located: LocatedModel, n_ctx: int, n_threads: int, tell: Tell, keep_on: Callable[[], bool]) -> Llama:
    """Load a model. `tell` hears the percent; loading stops when `keep_on` says no. Raises ModelLoadError.

    n_threads: 0 chooses by measuring, and goes on measuring.
    """
    return Llama(located, n_ctx, n_threads, tell, keep_on)


class Llama:
    """A `Model` (see base.py) on llama.cpp."""

    def __init__(
        self, located: LocatedModel, n_ctx: int, n_threads: int, tell: Tell, keep_on: Callable[[], bool]
    ) -> None:
        self._model: Any = None
        self._ctx: Any = None
        self._batch: Any = None
        _log.clear()
        try:
            self._load_weights(str(located.path), tell, keep_on)
            self._make_context(n_ctx, n_threads or memory.default_threads())
        except BaseException:
            self.close()
            raise
        self._n_vocab: int = lib.llama_vocab_n_tokens(self._vocab)
        self._held: list[list[int]] = [[] for _ in range(N_SEQUENCES)]
        self._logits_of: tuple[int, int, int] | None = None  # (sequence, length, rows) that are in the buffer
        self._threads: Threads | None = None
        self.vocabulary = Vocabulary([self._piece(i) for i in range(self._n_vocab)])
        self._control = self._control_ids()
        self._by_text = {self._text(i): i for i in self._control}
        self._adds_space = self.vocabulary.pieces[self._tokenize("a")[0]].startswith(b" ")
        fim = self._fim(located.family.fim if located.family else None)
        self._ends = self._end_ids(fim)
        self.info = ModelInfo(
            name=located.name,
            path=located.path,
            n_vocab=self._n_vocab,
            n_ctx=lib.llama_n_ctx(self._ctx),
            n_threads=n_threads or self._choose_threads(located),
            is_instruct=located.is_instruct,
            chat_family=located.family.chat if located.family else None,
            fim=fim,
            bos=lib.llama_vocab_bos(self._vocab) if lib.llama_vocab_get_add_bos(self._vocab) else None,
            control_texts=tuple(text for text in self._by_text if len(text) > 4),
            anchor_lines=fim.format.anchor_lines if fim else 8,
            can_truncate=self._warm_up(),
            n_window=max(0, lib.llama_model_n_swa(self._model)),
        )
        self.drafter = Drafter(self._measure(WIDTHS))

    # -- what a Model offers ------------------------------------------------------------------------------

    def tokenize(self, text: str) -> list[int]:
        """Token ids of user text, without any control token."""
        ids = self._tokenize_inside(text) if self._adds_space else self._tokenize(text)
        if self._control.isdisjoint(ids):
            return ids
        # llama.cpp matches USER_DEFINED tokens (Qwen's <tool_call>) in any text: take such a one apart.
        plain: list[int] = []
        for i in ids:
            if i in self._control:
                for letter in self._text(i):
                    plain += self._tokenize(letter)
            else:
                plain.append(i)
        return plain

    def token_id(self, text: str) -> int | None:
        """Return the id of the control token written `text`, or None."""
        return self._by_text.get(text)

    def is_end(self, token_id: int) -> bool:
        """Whether the output ends with this token."""
        return token_id in self._ends

    def evaluate(self, sequence: int, token_ids: Sequence[int], n_logits: int = 1) -> Evaluation:
        """Make `sequence` hold exactly `token_ids`, reusing the longest common prefix. Raises Aborted."""
        wanted = list(token_ids)
        n_same = _common(self._held[sequence], wanted)
        if n_same == len(self._held[sequence]) == len(wanted) and self._has_logits(sequence, n_same, n_logits):
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
        """Logits (n_vocab,) of a row of the newest evaluation; a view into llama.cpp's buffer."""
        pointer = lib.llama_get_logits_ith(self._ctx, row)
        return np.ctypeslib.as_array(pointer, shape=(self._n_vocab,))

    @cached_property
    def state_key(self) -> bytes:
        """Of the weights, this llama.cpp and this Kruk, which decides how the context is made."""
        try:
            weights = fingerprint(self.info.path)
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
        """Stop the running evaluation at the next node of its graph."""
        self._flag[0] = b"x"

    def allow(self) -> None:
        """Let the next evaluation run."""
        self._flag[0] = b"\0"

    def close(self) -> None:
        """Free batch, context and weights, in the only order that does not crash."""
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
        self._logits_of = None
        if lib.llama_memory_seq_rm(self._memory, sequence, length, -1):
            del held[length:]
        else:  # recurrent and hybrid models only forget as a whole
            lib.llama_memory_seq_rm(self._memory, sequence, -1, -1)
            held.clear()

    def _has_logits(self, sequence: int, length: int, n_logits: int) -> bool:
        if self._logits_of is None:
            return False
        return self._logits_of[:2] == (sequence, length) and self._logits_of[2] >= n_logits

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
        self._logits_of = None
        began = time.perf_counter()
        code = lib.llama_decode(self._ctx, self._batch)
        if code == _NOT_ENOUGH_CELLS and self._forget_others(sequence):
            code = lib.llama_decode(self._ctx, self._batch)
        if code == 0:
            held.extend(token_ids)
            self._logits_of = (sequence, len(held), n_logits)
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
        raise ModelLoadError(f"llama.cpp could not evaluate the prompt (code {code}): {self._last_words()}")

    def _forget_others(self, sequence: int) -> bool:
        """Drop every other sequence to make room; say whether there was any."""
        others = [other for other in range(N_SEQUENCES) if other != sequence and self._held[other]]
        for other in others:
            self._truncate(other, 0)
        return bool(others)

    # -- loading ------------------------------------------------------------------------------------------

    def _load_weights(self, path: str, tell: Tell, keep_on: Callable[[], bool]) -> None:
        told = -1

        @lib.llama_progress_callback  # type: ignore[untyped-decorator]
        def on_progress(part: float, _data: object) -> bool:
            nonlocal told
            percent = int(part * 100)
            if percent > told:
                told = percent
                tell(percent)
            return keep_on()

        params = lib.llama_model_default_params()
        params.progress_callback = on_progress
        self._model = lib.llama_model_load_from_file(path.encode(), params)
        if not self._model:
            self._model = None
            raise ModelLoadError(
                f"llama.cpp could not load `{path}`: {self._last_words()}",
                "The file may be damaged, or of a kind that this version of llama.cpp does not know.",
            )
        self._vocab = lib.llama_model_get_vocab(self._model)

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
                f"llama.cpp could not make a context of {n_ctx} tokens: {self._last_words()}",
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
        self._logits_of = None
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

    def _last_words(self) -> str:
        errors = [line for line in _log if "error" in line.lower() or "fail" in line.lower()]
        return (errors or list(_log) or ["it gave no reason"])[0].strip()

    # -- the vocabulary -----------------------------------------------------------------------------------

    def _tokenize(self, text: str) -> list[int]:
        raw = text.encode("utf-8", "replace")
        capacity = len(raw) + 8
        out = (lib.llama_token * capacity)()
        n = lib.llama_tokenize(self._vocab, raw, len(raw), out, capacity, False, False)
        return list(out[:n])

    def _tokenize_inside(self, text: str) -> list[int]:
        """Tokenise as if something stood before: SentencePiece puts a space in front of a text's beginning."""
        mark = self._tokenize("\n")
        ids = self._tokenize("\n" + text)
        return ids[len(mark) :] if ids[: len(mark)] == mark else self._tokenize(text)

    def _control_ids(self) -> frozenset[int]:
        """Tokens with a meaning beyond their text: control tokens, and markers that a model's makers added."""
        ids = set()
        for i in range(self._n_vocab):
            attr = lib.llama_vocab_get_attr(self._vocab, i)
            if attr & _CONTROL or (attr & _USER_DEFINED and self._text(i).startswith(("<", "["))):
                ids.add(i)
        return frozenset(ids)

    def _piece(self, token_id: int) -> bytes:
        """Return the bytes a token stands for; none for a control token."""
        n = lib.llama_token_to_piece(self._vocab, token_id, _piece_buffer, len(_piece_buffer), 0, False)
        return _piece_buffer.raw[: max(0, n)]

    def _text(self, token_id: int) -> str:
        text = lib.llama_vocab_get_text(self._vocab, token_id)
        return text.decode("utf-8", "replace") if text else ""

    def _fim(self, fim: Fim | None) -> FimIds | None:
        if fim is None:
            return None
        prefix, suffix = self.token_id(fim.prefix), self.token_id(fim.suffix)
        middle = self.token_id(fim.middle) if fim.middle else None
        if prefix is None or suffix is None or (fim.middle and middle is None):
            return None
        return FimIds(fim, prefix, suffix, middle)

    def _end_ids(self, fim: FimIds | None) -> frozenset[int]:
        ends = {i for i in self._by_text.values() if lib.llama_vocab_is_eog(self._vocab, i)}
        if fim:
            texts = (fim.format.prefix, fim.format.suffix, fim.format.middle, *fim.format.stop)
            ends |= {i for text in texts if text and (i := self.token_id(text)) is not None}
        return frozenset(ends)


_piece_buffer = ctypes.create_string_buffer(1024)


def _common(held: Sequence[int], wanted: Sequence[int]) -> int:
    """Return the length of the longest common prefix of two token lists."""
    n = min(len(held), len(wanted))
    if held[:n] == wanted[:n]:
        return n
    for i in range(n):
        if held[i] != wanted[i]:
            return i
    return n

"""Evaluated prompts that outlive their turn in the KV cache: in RAM while another document has it, and on disk.

A state is found by its tokens: the one with the longest beginning in common with the prompt is taken. So it
knows neither documents nor prompts. All of it runs on the model's thread.
"""

from __future__ import annotations

import logging
import os
import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from lsp_server.model.base import COMPLETION, Model, SavedState
from lsp_server.model.worker import Steps
from lsp_server.paths import CacheFolder

RAM_BYTES = 48 << 20  # four prompts of 1,000 tokens with the default model
DISK_BYTES = 200 << 20
MOST_LOST_TOKENS = 64  # what may be evaluated again rather than be kept
LEAST_GAINED_TOKENS = 32  # what a state must save to be restored; from disk it costs as much as a few tokens

_HEADER = struct.Struct("<8s32sIQ32s")  # magic, key, number of token ids, bytes of data, digest
_MAGIC = b"kruk-kv1"
_N_SAMPLES, _SAMPLE_BYTES = 32, 4096

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Kept:
    """One state. Without `data` it is on disk only, without `name` in RAM only."""

    token_ids: tuple[int, ...]
    data: bytes | memoryview | None
    name: str | None


class States:
    """The kept states of the loaded model. Without a folder they end with the process."""

    def __init__(self, folder: CacheFolder | None, ram_bytes: int = RAM_BYTES) -> None:
        self._folder = folder
        self._ram_bytes = ram_bytes
        self._key = b""
        self._kept: list[_Kept] = []  # the one used last is the last
        self._covered: list[str] = []  # names of files that newer states cover

    def prepare(self, model: Model, sequence: int, token_ids: Sequence[int]) -> int:
        """Before `token_ids` are evaluated: save what that would lose, and restore what helps.

        Returns how many of them the sequence holds now.
        """
        self._use(model)
        wanted, held = tuple(token_ids), tuple(model.held(sequence))
        n_same = _common(held, wanted)
        best = self._best(wanted, n_same + LEAST_GAINED_TOKENS)
        if best:
            self._mark_used(best)
        if len(held) - n_same > MOST_LOST_TOKENS:
            self._keep(model, sequence, held)
        if best and best in self._kept:
            self._restore(model, sequence, best)
            n_same = _common(tuple(model.held(sequence)), wanted)
        return n_same

    def flush(self, model: Model) -> Steps[None]:
        """Write what is not on disk yet, what the COMPLETION sequence holds too; yields between two files."""
        self._use(model)
        while self._write_next():
            yield
        self._keep(model, COMPLETION, tuple(model.held(COMPLETION)))
        self._write_next()
        while self._folder and self._covered and all(kept.name for kept in self._kept):
            self._folder.remove(self._covered.pop())

    # -- in RAM -------------------------------------------------------------------------------------------

    def _use(self, model: Model) -> None:
        """Begin anew with another model: what is kept is of no use to it."""
        if model.state_key != self._key:
            self._key, self._kept, self._covered = model.state_key, [], []
            self._read_folder()

    def _best(self, wanted: tuple[int, ...], n_least: int) -> _Kept | None:
        """Return the state that has most of the prompt, `n_least` tokens of it or more; of equals the newest."""
        best = None
        for kept in reversed(self._kept):
            if len(kept.token_ids) >= n_least and (n_same := _common(kept.token_ids, wanted)) >= n_least:
                best, n_least = kept, n_same + 1
        return best

    def _keep(self, model: Model, sequence: int, held: tuple[int, ...]) -> None:
        """Save what a sequence holds, unless it is little more than what is kept; forget what it covers itself."""
        if len(held) <= MOST_LOST_TOKENS or any(_covers(kept.token_ids, held) for kept in self._kept):
            return
        if (state := model.save(sequence)) is None:
            return
        covered = [kept for kept in self._kept if _covers(held, kept.token_ids)]
        self._covered += [kept.name for kept in covered if kept.name]
        self._kept = [kept for kept in self._kept if kept not in covered]
        self._kept.append(_Kept(state.token_ids, state.data, None))
        self._trim()

    def _restore(self, model: Model, sequence: int, kept: _Kept) -> None:
        """Put a kept state into the sequence. One that is of no use is dropped."""
        data = kept.data
        if data is None and kept.name and self._folder:
            state = _read(self._folder.at(kept.name), self._key)
            data = state.data if state and state.token_ids == kept.token_ids else None
        if data is None or not model.restore(sequence, SavedState(kept.token_ids, data)):
            log.debug("a kept state of %d tokens is of no use", len(kept.token_ids))
            self._kept.remove(kept)
            if kept.name and self._folder:
                self._folder.remove(kept.name)
            return
        kept.data = data
        if kept.name and self._folder:
            self._folder.touch(kept.name)
        self._trim()

    def _mark_used(self, kept: _Kept) -> None:
        self._kept.remove(kept)
        self._kept.append(kept)

    def _trim(self) -> None:
        """Make room: data that was not used for longest goes, and its state too unless that is on disk."""
        excess = sum(len(kept.data) for kept in self._kept if kept.data is not None) - self._ram_bytes
        for kept in self._kept[:-1]:
            if excess > 0 and kept.data is not None:
                excess -= len(kept.data)
                kept.data = None
        self._kept = [kept for kept in self._kept if kept.data is not None or kept.name]

    # -- on disk ------------------------------------------------------------------------------------------

    def _read_folder(self) -> None:
        """Learn the tokens of every state of this model that is on disk."""
        for name in self._folder.names() if self._folder else ():
            if self._folder and name.startswith(self._key.hex()[:16]):
                state = _read(self._folder.at(name), self._key, with_data=False)
                if state and name == _name(self._key, state.token_ids):
                    self._kept.append(_Kept(state.token_ids, None, name))
                else:
                    self._folder.remove(name)

    def _write_next(self) -> bool:
        """Write one state that is not on disk; says whether there was one, and it worked."""
        kept = next((kept for kept in self._kept if kept.name is None), None)
        if self._folder is None or kept is None or kept.data is None:
            return False
        name, ids = _name(self._key, kept.token_ids), array("i", kept.token_ids).tobytes()
        digest = _digest(self._key, ids, kept.data)
        header = _HEADER.pack(_MAGIC, self._key, len(kept.token_ids), len(kept.data), digest)
        if not self._folder.write(name, header, ids, kept.data):
            return False
        kept.name = name
        return True


def fingerprint(path: Path) -> bytes:
    """What tells one file of weights from another: its size, its time, and samples of its bytes. Raises OSError."""
    status = path.stat()
    digest = blake2b(b"%d %d" % (status.st_size, status.st_mtime_ns))
    with path.open("rb") as stream:
        for i in range(_N_SAMPLES):
            stream.seek(status.st_size * i // _N_SAMPLES)
            digest.update(stream.read(_SAMPLE_BYTES))
    return digest.digest()


def _read(path: Path, key: bytes, with_data: bool = True) -> SavedState | None:
    """Read a file; None when it is damaged or of another model. The digest is of the whole: no data, no check."""
    try:
        with path.open("rb") as stream:
            magic, its_key, n_ids, n_data, digest = _HEADER.unpack(stream.read(_HEADER.size))
            n_bytes = os.fstat(stream.fileno()).st_size
            if (magic, its_key, n_bytes) != (_MAGIC, key, _HEADER.size + 4 * n_ids + n_data):
                return None
            ids = stream.read(4 * n_ids)
            data = stream.read(n_data) if with_data else b""
            if len(ids) != 4 * n_ids or (with_data and _digest(key, ids, data) != digest):
                return None
    except (OSError, struct.error):
        return None
    return SavedState(tuple(array("i", ids)), data)


def _name(key: bytes, token_ids: tuple[int, ...]) -> str:
    ids = blake2b(array("i", token_ids), digest_size=16)
    return f"{key.hex()[:16]}-{ids.hexdigest()}"


def _digest(key: bytes, ids: bytes, data: bytes | memoryview) -> bytes:
    digest = blake2b(key, digest_size=32)
    digest.update(ids)
    digest.update(data)
    return digest.digest()


def _covers(token_ids: tuple[int, ...], others: tuple[int, ...]) -> bool:
    """Whether a state of `token_ids` gives nearly all that one of `others` would."""
    return len(others) - _common(token_ids, others) <= MOST_LOST_TOKENS


def _common(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Length of the common beginning of two tuples, by bisection: comparing slices is C's work."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while low + 1 < high:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low

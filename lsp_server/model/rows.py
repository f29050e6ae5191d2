"""Logits that may be asked for again: llama.cpp keeps those of its newest evaluation only.

Whoever types against a suggestion comes back to a place that was just evaluated. Its keys and values are still
in the KV cache; without its logits the last token would be evaluated once more for each such request.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from lsp_server.model.base import Logits
from lsp_server.model.memory import ROWS_BYTES


class Rows:
    """Copies of logits (n_vocab,) by the tokens they were evaluated after; the oldest is overwritten.

    `n_bytes` are 41 rows of a vocabulary of 150,000 tokens: a suggestion, what follows it, and its branches.
    """

    def __init__(self, n_vocab: int, n_bytes: int = ROWS_BYTES) -> None:
        self._rows = np.empty((max(1, n_bytes // (4 * n_vocab)), n_vocab), dtype=np.float32)
        self._keys = [b""] * len(self._rows)
        self._at: dict[bytes, int] = {}
        self._next = 0

    def put(self, token_ids: Sequence[int], logits: Logits) -> None:
        """Remember what comes after `token_ids`."""
        key = _key(token_ids)
        at = self._at.get(key, self._next)
        if at == self._next:
            self._at.pop(self._keys[at], None)
            self._next = (at + 1) % len(self._rows)
        self._rows[at] = logits
        self._keys[at], self._at[key] = key, at

    def get(self, token_ids: Sequence[int]) -> Logits | None:
        """Return what comes after `token_ids`, a view that a later `put` overwrites, or None."""
        at = self._at.get(_key(token_ids))
        return None if at is None else self._rows[at]


def _key(token_ids: Sequence[int]) -> bytes:
    return blake2b(array("i", token_ids).tobytes(), digest_size=16).digest()

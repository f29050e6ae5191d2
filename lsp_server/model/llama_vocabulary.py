"""A model's vocabulary, by llama.cpp: text to tokens and back, and what its control tokens mean."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

from lsp_server.model.base import FimIds, Vocabulary
from lsp_server.model.catalogue import Fim
from lsp_server.model.llama_library import lib

N_TEXTS = 64  # tokenised texts that are remembered: head and suffix are the same at most key strokes

_CONTROL, _USER_DEFINED = lib.LLAMA_TOKEN_ATTR_CONTROL, lib.LLAMA_TOKEN_ATTR_USER_DEFINED

_piece_buffer = ctypes.create_string_buffer(1024)


class LlamaVocabulary(Vocabulary):
    """The vocabulary of loaded weights. `fim`: the model's fill-in-the-middle format as ids, None without one."""

    def __init__(self, model: Any, fim: Fim | None) -> None:
        self._vocab = lib.llama_model_get_vocab(model)
        self.n: int = lib.llama_vocab_n_tokens(self._vocab)
        self._control = self._control_ids()
        super().__init__([self._piece(i) for i in range(self.n)], {self._text(i): i for i in self._control})
        self._adds_space = self.pieces[self._tokenize("a")[0]].startswith(b" ")
        self._tokenized = lru_cache(N_TEXTS)(self._tokenize_plain)
        self.fim = self._fim_ids(fim)
        self._ends = self._end_ids(self.fim)

    @property
    def bos(self) -> int | None:
        """The token id a prompt begins with, for the models that want one."""
        return lib.llama_vocab_bos(self._vocab) if lib.llama_vocab_get_add_bos(self._vocab) else None

    @property
    def control_texts(self) -> tuple[str, ...]:
        """Texts of tokens that must never be shown."""
        return tuple(text for text in self.control if len(text) > 4)

    def tokenize(self, text: str) -> list[int]:
        """Token ids of user text, without any control token."""
        return list(self._tokenized(text))

    def token_id(self, text: str) -> int | None:
        """Return the id of the control token written `text`, or None."""
        return self.control.get(text)

    def is_end(self, token_id: int) -> bool:
        """Whether the output ends with this token."""
        return token_id in self._ends

    def _tokenize_plain(self, text: str) -> list[int]:
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
        for i in range(self.n):
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

    def _fim_ids(self, fim: Fim | None) -> FimIds | None:
        if fim is None:
            return None
        prefix, suffix = self.token_id(fim.prefix), self.token_id(fim.suffix)
        middle = self.token_id(fim.middle) if fim.middle else None
        if prefix is None or suffix is None or (fim.middle and middle is None):
            return None
        return FimIds(fim, prefix, suffix, middle)

    def _end_ids(self, fim: FimIds | None) -> frozenset[int]:
        ends = {i for i in self.control.values() if lib.llama_vocab_is_eog(self._vocab, i)}
        if fim:
            texts = (fim.format.prefix, fim.format.suffix, fim.format.middle, *fim.format.stop)
            ends |= {i for text in texts if text and (i := self.token_id(text)) is not None}
        return frozenset(ends)

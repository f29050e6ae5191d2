"""What a GGUF file says of itself, as `gguf.read_header` has read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from lsp_server.model.gguf_types import FILE_TYPES

Value = str | int | float | bool | tuple[int, ...]
Role = Literal["model", "projector", "adapter", "embedding model", "other file"]


@dataclass(frozen=True)
class GgufHeader:
    """What the header of one GGUF file says.

    `metadata` holds scalars, strings and short integer arrays (one value per layer); of every array
    `array_lengths` holds the number of elements. `token_ids` has only the texts that were asked for.
    """

    version: int
    size_bytes: int
    n_tensors: int
    metadata: Mapping[str, Value]
    array_lengths: Mapping[str, int]
    token_ids: Mapping[str, int] = field(default_factory=dict)
    largest_type: str = ""  # the tensor type that most of the bytes have, e.g. "Q4_K"
    matrix_bytes: Mapping[str, int] = field(default_factory=dict)  # of what is multiplied with, by tensor type
    n_parameters: int = 0
    read_bytes: int = 0  # of the weights, for each token that is evaluated: of experts only those that are used

    @property
    def architecture(self) -> str:
        """E.g. "qwen2"; "" when the file does not say."""
        return self._text("general.architecture")

    @property
    def name(self) -> str:
        """The name its publisher gave it; "" when the file does not say."""
        return self._text("general.name") or self._text("general.basename")

    @property
    def quantisation(self) -> str:
        """E.g. "Q4_K_M", from general.file_type, or the commonest tensor type when that is missing."""
        file_type = self.metadata.get("general.file_type")
        known = FILE_TYPES.get(file_type & ~1024) if isinstance(file_type, int) else None  # 1024: "guessed"
        return known or self.largest_type

    @property
    def n_ctx_train(self) -> int:
        """Tokens of context it was trained with; 0 when unknown."""
        return self._int("context_length")

    @property
    def n_layers(self) -> int:
        """Number of transformer blocks."""
        return self._int("block_count")

    @property
    def n_embd(self) -> int:
        """Width of the residual stream."""
        return self._int("embedding_length")

    @property
    def head_counts_kv(self) -> tuple[int, ...]:
        """KV heads of each layer: `n_layers` numbers, or () when the architecture has none."""
        heads = self._own("attention.head_count_kv") or self._own("attention.head_count")
        if isinstance(heads, tuple):
            return heads
        return (heads,) * self.n_layers if isinstance(heads, int) else ()

    @property
    def key_length(self) -> int:
        """Numbers in one head's key."""
        return self._int("attention.key_length") or self._head_size()

    @property
    def value_length(self) -> int:
        """Numbers in one head's value."""
        return self._int("attention.value_length") or self._head_size()

    @property
    def sliding_window(self) -> int:
        """Tokens that a layer with windowed attention sees; 0 when there is no such layer."""
        return self._int("attention.sliding_window")

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of KV cache per token at f16, every layer counted as if it saw the whole context."""
        return sum(self.head_counts_kv) * (self.key_length + self.value_length) * 2

    @property
    def n_vocab(self) -> int:
        """Number of tokens."""
        return self.array_lengths.get("tokenizer.ggml.tokens", 0) or self._int("vocab_size")

    @property
    def n_merges(self) -> int:
        """Number of merge rules of a byte pair vocabulary; 0 for one of another kind."""
        return self.array_lengths.get("tokenizer.ggml.merges", 0)

    @property
    def n_feed_forward(self) -> int:
        """Width of the widest feed-forward layer; four times `n_embd` when the file does not say."""
        widths = self._own("feed_forward_length")
        return (max(widths) if isinstance(widths, tuple) and widths else self._int("feed_forward_length")) or (
            4 * self.n_embd
        )

    @property
    def chat_template(self) -> str:
        """The Jinja template in the file; "" when there is none."""
        return self._text("tokenizer.chat_template")

    @property
    def split_count(self) -> int:
        """In how many files the model comes: 1 unless it was split."""
        count = self.metadata.get("split.count")
        return count if isinstance(count, int) and count > 1 else 1

    @property
    def role(self) -> Role:
        """What the file is for. Only a "model" can generate text."""
        kind = self._text("general.type") or "model"
        if kind == "mmproj" or self.architecture == "clip":
            return "projector"
        if kind == "adapter":
            return "adapter"
        if "bert" in self.architecture or self._int("pooling_type") > 0:
            return "embedding model"
        is_whole = bool(self.architecture) and (self.n_tensors > 0 or self.split_count > 1)
        return "model" if kind == "model" and is_whole else "other file"

    def joined(self, part: GgufHeader) -> GgufHeader:
        """Return this header with the tensors of another part of the same model added."""
        return replace(
            self,
            n_tensors=self.n_tensors + part.n_tensors,
            matrix_bytes=Counter(self.matrix_bytes) + Counter(part.matrix_bytes),
            n_parameters=self.n_parameters + part.n_parameters,
            read_bytes=self.read_bytes + part.read_bytes,
        )

    def _own(self, key: str) -> Value | None:
        return self.metadata.get(f"{self.architecture}.{key}")

    def _int(self, key: str) -> int:
        value = self._own(key)
        return value if isinstance(value, int) else 0

    def _text(self, key: str) -> str:
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def _head_size(self) -> int:
        heads = self._int("attention.head_count")
        return self.n_embd // heads if heads > 0 else 0

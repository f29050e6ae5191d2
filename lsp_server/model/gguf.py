"""Reads the header of a GGUF file, and refuses a file that llama.cpp should never be given.

It knows the container (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md) and the sizes of ggml's
tensor types; it knows nothing about llama.cpp's API, FIM or the catalogue. Every count and length is
checked against the size of the file before anything is allocated, so a hostile file fails at once.

Plain reads instead of mmap: a mapped file that somebody truncates ends the process with SIGBUS.
"""

from __future__ import annotations

import math
import os
import struct
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from lsp_server.errors import ModelFileError
from lsp_server.model.gguf_header import GgufHeader, Value
from lsp_server.model.gguf_types import TENSOR_TYPES, appearance

_MAX_KEYS = 10_000
_MAX_TENSORS = 65_536
_MAX_NAME_BYTES = 63  # GGML_MAX_NAME - 1
_MAX_KEY_BYTES = 65_535  # docs/gguf.md
_MAX_STRING_BYTES = 1 << 26
_MAX_ELEMENTS = 1 << 25  # of all arrays together; the largest vocabularies have half a million
_MAX_KEPT_ELEMENTS = 512  # LLAMA_MAX_LAYERS: per-layer arrays are kept, vocabularies are not
_PLAUSIBLE = {  # llama.cpp ends the process for some values outside (tried with 0.3.36)
    "block_count": (1, 512),
    "context_length": (0, 1 << 31),
    "embedding_length": (1, 1 << 20),
    "attention.head_count": (0, 1 << 14),
    "attention.head_count_kv": (0, 1 << 14),
    "attention.key_length": (0, 1 << 14),
    "attention.value_length": (0, 1 << 14),
}
_WINDOWS = (1 << 23, 1 << 25, 1 << 27, 1 << 29)  # how much of the file is read before giving up, in bytes
_HINT = "Download it again, or choose another model with `kruk models list`"

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_STRING, _ARRAY = 8, 9
# docs/gguf.md, gguf_metadata_value_type, as codes of the struct module
_CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_SCALARS = {type_id: struct.Struct("<" + code) for type_id, code in _CODES.items()}
_FLOATS = (6, 12)


def read_header(path: str | os.PathLike[str], wanted_tokens: Collection[str] = ()) -> GgufHeader:
    """Read and check the header of the GGUF file at `path`.

    wanted_tokens: texts to look up in the vocabulary; those found are in `token_ids`.
    Raises ModelFileError, and nothing else, for whatever is wrong with the file.
    """
    name = Path(path).name
    try:
        with Path(path).open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            data = b""
            for window in _WINDOWS:
                data += file.read(window - len(data))
                parser = _Parser(name, data, size, wanted_tokens)
                try:
                    return parser.header()
                except (_OutOfData, struct.error):
                    if len(data) >= size:
                        raise parser.ends() from None
                    if len(data) < window:  # a short read: the file shrank, or is no regular file
                        raise _truncated(name, f"only {len(data):,} of its bytes can be read") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        words = getattr(error, "strerror", None) or error
        raise ModelFileError(f"`{name}` cannot be read: {words}", "Check the path and its permissions") from error
    raise ModelFileError(f"`{name}` has a header of more than {_WINDOWS[-1] >> 20} MiB", _HINT)


class _OutOfData(Exception):
    """The parser came to the end of what has been read so far."""


def _truncated(name: str, how: str) -> ModelFileError:
    return ModelFileError(f"`{name}` is truncated: {how}", "Its download did not finish. " + _HINT)


class _Parser:
    """One pass over `data`, the first bytes of a file of `size` bytes."""

    def __init__(self, name: str, data: bytes, size: int, wanted_tokens: Collection[str]) -> None:
        self.name = name
        self.data = data
        self.size = size
        self.at = 0
        self.n_elements = 0
        self.wanted = {text.encode("utf-8", "replace"): text for text in wanted_tokens}
        self.metadata: dict[str, Value] = {}
        self.types: dict[str, int] = {}
        self.array_lengths: dict[str, int] = {}
        self.token_ids: dict[str, int] = {}
        self.matrix_bytes: Counter[str] = Counter()
        self.n_parameters = self.read_bytes = 0

    def header(self) -> GgufHeader:
        version = self._preamble()
        n_tensors = self._count("tensors", _MAX_TENSORS, least_bytes=24)
        n_keys = self._count("metadata keys", _MAX_KEYS, least_bytes=13)
        for index in range(n_keys):
            self._key_value(index)
        self._check_shape()
        largest_type = self._tensors(n_tensors)
        return GgufHeader(
            version,
            self.size,
            n_tensors,
            self.metadata,
            self.array_lengths,
            self.token_ids,
            largest_type,
            self.matrix_bytes,
            self.n_parameters,
            self.read_bytes,
        )

    def _check_shape(self) -> None:
        for key, (least, most) in _PLAUSIBLE.items():
            value = self.metadata.get(f"{self.metadata.get('general.architecture')}.{key}", least)
            numbers = value if isinstance(value, tuple) else (value,)
            if not all(isinstance(number, int) and least <= number <= most for number in numbers):
                raise self._bad(f"a {key} that no model has, {str(value)[:40]}")

    def _preamble(self) -> int:
        if self.size == 0:
            raise ModelFileError(f"`{self.name}` is empty", "Its download did not begin. " + _HINT)
        if self.data[:4] != b"GGUF":
            looks = appearance(self.data[:512])
            raise ModelFileError(f"`{self.name}` is not a GGUF file: it looks like {looks}", _HINT)
        (version,) = _U32.unpack_from(self.data, 4)
        self.at = 8
        if version & 0xFFFF == 0 and version:
            raise ModelFileError(
                f"`{self.name}` is a GGUF for big-endian machines", "Take the ordinary, little-endian file"
            )
        if version not in (2, 3):
            raise ModelFileError(
                f"`{self.name}` has GGUF version {version}; 2 and 3 are known",
                "Take a newer copy of the model",
            )
        return int(version)

    def _key_value(self, index: int) -> None:
        key = self._string(f"the name of key {index}", _MAX_KEY_BYTES)
        if not key:
            raise self._bad(f"a key without a name, number {index}")
        if key in self.types:
            raise self._bad(f"the key `{key[:80]}` twice")
        type_id = self.types[key] = self._u32()
        if type_id == _STRING:
            self.metadata[key] = self._string(f"`{key[:80]}`", _MAX_STRING_BYTES)
        elif type_id == _ARRAY:
            self._array(key)
        elif type_id in _SCALARS:
            (self.metadata[key],) = _SCALARS[type_id].unpack_from(self.data, self.at)
            self.at += _SCALARS[type_id].size
        else:
            raise self._bad(f"`{key[:80]}` of the unknown type {type_id}")

    def _array(self, key: str) -> None:
        type_id = self._u32()
        if type_id != _STRING and type_id not in _SCALARS:
            kind = "an array of arrays" if type_id == _ARRAY else f"an array of the unknown type {type_id}"
            raise self._bad(f"{kind} in `{key[:80]}`")
        n = self._u64()
        self.n_elements += n
        least_bytes = 8 if type_id == _STRING else _SCALARS[type_id].size
        if self.n_elements > _MAX_ELEMENTS:
            raise self._bad(f"an array of {n:,} elements in `{key[:80]}`")
        if n * least_bytes > self.size - self.at:
            raise self.ends()
        self.array_lengths[key] = n
        if type_id == _STRING:
            self._skip_strings(key, n)
            return
        if n <= _MAX_KEPT_ELEMENTS and type_id not in _FLOATS:
            values = struct.unpack_from(f"<{n}{_CODES[type_id]}", self.data, self.at)
            self.metadata[key] = tuple(int(value) for value in values)
        self.at += n * least_bytes

    def _skip_strings(self, key: str, n: int) -> None:
        """Step over `n` strings, looking for the wanted tokens. The hot loop: 300,000 rounds for Qwen."""
        wanted = self.wanted if key == "tokenizer.ggml.tokens" else {}
        lengths = frozenset(map(len, wanted))
        data, at, read_length, longest = self.data, self.at, _U64.unpack_from, self.size
        for index in range(n):
            (length,) = read_length(data, at)
            at += 8
            if length > longest:
                raise self._bad(f"a string of {length:,} bytes in `{key[:80]}`, longer than the file")
            if length in lengths and (text := wanted.get(data[at : at + length])) is not None:
                self.token_ids.setdefault(text, index)
            at += length
        self.at = at
        if at > len(data):
            raise _OutOfData

    def _tensors(self, n_tensors: int) -> str:
        alignment = self.metadata.get("general.alignment", 32)
        if self.types.get("general.alignment", 4) != 4 or not isinstance(alignment, int):
            raise self._bad("a `general.alignment` that is not an unsigned 32-bit number")
        if alignment < 1 or alignment & (alignment - 1):
            raise self._bad(f"an alignment of {alignment}, not a power of two")
        names: set[str] = set()
        bytes_by_type: Counter[str] = Counter()
        end = 0  # of the tensors so far, from the start of the data section, padded
        needed = embeddings = 0
        used = self._used_experts()
        for index in range(n_tensors):
            name = self._string(f"the name of tensor {index}", _MAX_NAME_BYTES)
            if name in names:
                raise self._bad(f"the tensor `{name}` twice")
            names.add(name)
            type_name, size, dims = self._tensor_size(name)
            offset = self._u64()
            if offset != end:  # llama.cpp insists on it as well; it also means none overlap
                raise self._bad(f"the tensor `{name}` at byte {offset:,}, expected at {end:,}")
            bytes_by_type[type_name] += size
            self.n_parameters += math.prod(dims)
            if name.startswith("token_embd"):
                embeddings = size
            else:
                self.read_bytes += int(size * used) if "_exps." in name else size
                if len(dims) > 1:
                    self.matrix_bytes[type_name] += size
            needed = end + size
            end += -(-size // alignment) * alignment
        data_start = -(-self.at // alignment) * alignment
        if n_tensors and data_start + needed > self.size:
            missing = data_start + needed - self.size
            raise _truncated(self.name, f"{missing:,} of {data_start + needed:,} bytes are missing")
        if "output.weight" not in names:  # then the embeddings are what the last layer is multiplied with
            self.read_bytes += embeddings
        return bytes_by_type.most_common(1)[0][0] if bytes_by_type else ""

    def _used_experts(self) -> float:
        """Return the share of the experts that one token uses; 1 where there are none."""
        architecture = self.metadata.get("general.architecture")
        used, of = (self.metadata.get(f"{architecture}.expert_{name}") for name in ("used_count", "count"))
        return used / of if isinstance(used, int) and isinstance(of, int) and 0 < used <= of else 1

    def _tensor_size(self, name: str) -> tuple[str, int, list[int]]:
        """Type, bytes and shape of the tensor that comes next."""
        n_dims = self._u32()
        if n_dims > 4:
            raise self._bad(f"{n_dims} dimensions in the tensor `{name}`")
        dims = [self._u64() for _ in range(n_dims)] or [1]
        type_id = self._u32()
        if type_id not in TENSOR_TYPES:
            raise self._bad(f"the unknown type {type_id} in the tensor `{name}`")
        type_name, block, block_bytes = TENSOR_TYPES[type_id]
        n_elements = math.prod(dims)
        if not 0 < n_elements < 1 << 63 or max(dims) >= 1 << 63:
            raise self._bad(f"a shape that no tensor can have, {dims}, in `{name}`")
        if dims[0] % block:
            raise self._bad(f"rows of {dims[0]} in the tensor `{name}`, not a multiple of {block}")
        return type_name, n_elements // block * block_bytes, dims

    def _count(self, what: str, most: int, least_bytes: int) -> int:
        n = self._u64()
        if n > most:
            raise self._bad(f"{n:,} {what}")
        if n * least_bytes > self.size:
            raise self.ends()
        return n

    def _u32(self) -> int:
        (value,) = _U32.unpack_from(self.data, self.at)
        self.at += 4
        return int(value)

    def _u64(self) -> int:
        (value,) = _U64.unpack_from(self.data, self.at)
        self.at += 8
        return int(value)

    def _string(self, what: str, most_bytes: int) -> str:
        n = self._u64()
        if n > most_bytes:
            raise self._bad(f"{n:,} bytes as the length of {what}")
        if n > self.size - self.at:
            raise self.ends()
        raw = self.data[self.at : self.at + n]
        if len(raw) < n:
            raise _OutOfData
        self.at += n
        return raw.decode("utf-8", "replace")

    def ends(self) -> ModelFileError:
        """The error for a file that stops where more is announced."""
        return _truncated(self.name, f"it ends inside its header, after {self.size:,} bytes")

    def _bad(self, what: str) -> ModelFileError:
        return ModelFileError(f"`{self.name}` is damaged: its header has {what}", _HINT)

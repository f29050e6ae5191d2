"""Writes small GGUF files for tests: valid ones, and with a wrong count or type where a test asks for it."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
_FORMATS = {
    U8: "B",
    I8: "b",
    U16: "H",
    I16: "h",
    U32: "I",
    I32: "i",
    F32: "f",
    BOOL: "?",
    U64: "Q",
    I64: "q",
    F64: "d",
}
_ALIGNMENT = 32

Typed = tuple[int, Any]

QWEN_TOKENS = ("a", "b", "<|endoftext|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")


def string(text: str | bytes) -> bytes:
    """A GGUF string: its length and its bytes."""
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def value(item: Any) -> bytes:
    """Type and bytes of a metadata value; a pair (type, value) says the type, else the value does."""
    if isinstance(item, tuple):
        type_id, content = item
        if type_id == ARRAY:
            element, items = content
            if element == STRING:
                body = b"".join(string(text) for text in items)
            else:
                body = struct.pack(f"<{len(items)}{_FORMATS[element]}", *items)
            return struct.pack("<IIQ", ARRAY, element, len(items)) + body
        return struct.pack(f"<I{_FORMATS[type_id]}", type_id, content)
    if isinstance(item, str):
        return struct.pack("<I", STRING) + string(item)
    if isinstance(item, bool):
        return value((BOOL, item))
    if isinstance(item, float):
        return value((F32, item))
    if isinstance(item, int):
        return value((U32, item))
    element = STRING if item and isinstance(item[0], str) else I32
    return value((ARRAY, (element, item)))


def tensor(name: str, dims: Sequence[int], type_id: int = 0, offset: int = 0) -> bytes:
    """One tensor info."""
    shape = struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
    return string(name) + shape + struct.pack("<IQ", type_id, offset)


def gguf(
    metadata: Mapping[str, Any],
    tensors: Sequence[bytes] = (),
    data_bytes: int = 0,
    version: int = 3,
    n_tensors: int | None = None,
    n_keys: int | None = None,
) -> bytes:
    """A whole file: `data_bytes` zero bytes follow the header, after its padding."""
    body = struct.pack(
        "<4sIQQ",
        b"GGUF",
        version,
        len(tensors) if n_tensors is None else n_tensors,
        len(metadata) if n_keys is None else n_keys,
    )
    body += b"".join(string(key) + value(item) for key, item in metadata.items())
    body += b"".join(tensors)
    return body + bytes(-len(body) % _ALIGNMENT) + bytes(data_bytes)


def model_metadata(**changes: Any) -> dict[str, Any]:
    """Metadata as a small Qwen2.5-Coder has it. In `changes` `__` stands for a dot; None takes a key away."""
    metadata: dict[str, Any] = {
        "general.architecture": "qwen2",
        "general.type": "model",
        "general.name": "Qwen2.5 Coder Tiny Instruct",
        "general.file_type": 15,
        "qwen2.context_length": 2048,
        "qwen2.block_count": 2,
        "qwen2.embedding_length": 64,
        "qwen2.attention.head_count": 4,
        "qwen2.attention.head_count_kv": 2,
        "tokenizer.ggml.tokens": list(QWEN_TOKENS),
        "tokenizer.ggml.token_type": [1] * len(QWEN_TOKENS),
        "tokenizer.chat_template": "<|im_start|>",
        **{key.replace("__", "."): item for key, item in changes.items()},
    }
    return {key: item for key, item in metadata.items() if item is not None}


def model(**changes: Any) -> bytes:
    """A small valid model file: two tensors, F32 and Q8_0, and their data."""
    tensors = [tensor("token_embd.weight", (8, 3)), tensor("blk.0.ffn_up.weight", (32, 2), 8, 96)]
    return gguf(model_metadata(**changes), tensors, 96 + 68)


def write(path: Path, content: bytes) -> Path:
    """Write `content` to `path`, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def adapter(n_embd: int, architecture: str = "qwen2", **changes: Any) -> bytes:
    """A LoRA adapter of rank 1 on what the first layer's attention gives, which makes a large difference."""
    metadata = {
        "general.type": "adapter",
        "general.architecture": architecture,
        "adapter.type": "lora",
        "adapter.lora.alpha": 1.0,
        **{key.replace("__", "."): item for key, item in changes.items()},
    }
    name, n_bytes = "blk.0.attn_output.weight.lora_", n_embd * 4
    tensors = [tensor(f"{name}a", (n_embd, 1)), tensor(f"{name}b", (1, n_embd), offset=-(-n_bytes // 32) * 32)]
    values = struct.pack(f"<{n_embd}f", *((i % 7 - 3) / 8 for i in range(n_embd)))
    padding = bytes(-n_bytes % _ALIGNMENT)
    return gguf(metadata, tensors) + values + padding + values + padding

"""Tables of the GGUF format: tensor types, file types, and what other files look like.

Checked against ggml 0.25.3 (llama-cpp-python 0.3.36): names and numbers by its ggml.h and llama.h, sizes
by calling ggml_blck_size and ggml_type_size of its library.
"""

from __future__ import annotations

TENSOR_TYPES: dict[int, tuple[str, int, int]] = {  # id: name, elements of a block, bytes of a block
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
    42: ("Q2_0", 64, 18),
}

FILE_TYPES: dict[int, str] = {  # general.file_type: llama.h, enum llama_ftype
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4",
    39: "NVFP4",
    40: "Q1_0",
    41: "Q2_0",
}

_SIGNATURES = (  # how a file begins, and what it then is
    (
        b"version https://git-lfs",
        "a git-lfs pointer to the real file (run `git lfs pull`)",
    ),
    (b"PK\x03\x04", "a zip archive: a wheel, a llamafile or a PyTorch checkpoint"),
    (b"MZqFpD", "a llamafile, which holds a GGUF inside"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\x80\x02", "a Python pickle, an old PyTorch checkpoint"),
    (b"\x80\x04", "a Python pickle, an old PyTorch checkpoint"),
    (b"lmgg", "a model in the GGML format of 2023, which nothing reads any more"),
    (b"fmgg", "a model in the GGML format of 2023, which nothing reads any more"),
    (b"tjgg", "a model in the GGML format of 2023, which nothing reads any more"),
    (b"FUGG", "a GGUF for big-endian machines"),
    (b"\x7fELF", "a program"),
)


def appearance(start: bytes) -> str:
    """Say what a file is that begins with the bytes `start` and is no GGUF."""
    for signature, what in _SIGNATURES:
        if start.startswith(signature):
            return what
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page, perhaps a login or an error page saved under this name"
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 32:
        return "a safetensors file, which has to be converted first"
    if text.startswith((b"{", b"[")):
        return "JSON"
    if start.strip(b"\0") == b"":
        return "nothing but zero bytes, a download that never filled its file"
    if all(32 <= byte < 127 or byte in (9, 10, 13) for byte in start):
        return "a text file"
    return f"data of another kind (its first bytes are {start[:4].hex(' ')})"

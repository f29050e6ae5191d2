"""Makes a smaller file of a model, by llama.cpp's own quantisation in a process of its own.

Run as `python -m lsp_server.model.quantize` this is that process: it blocks for minutes, takes gigabytes, and
llama.cpp ends it when an assertion fails. It prints lines of JSON: `{"at": 3, "of": 290}` for each tensor, and sizes.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lsp_server.errors import KrukError, ModelFileError, nearest
from lsp_server.model import gguf, memory, stores
from lsp_server.model.gguf_types import FILE_TYPES
from lsp_server.model.partial import free_bytes, size_text
from lsp_server.model.registry import LocatedModel

# Those that need no importance matrix, which takes hours to make.
TYPES = {
    name: number
    for number, name in FILE_TYPES.items()
    if not name.startswith(("IQ1", "IQ2", "IQ3_X", "Q1", "Q2_0", "Q2_K_S", "MXFP4", "NVFP4"))
}
_WHOLE = {"F32", "F16", "BF16", "F64"}
_TENSOR = re.compile(r"\[ *(\d+)/ *(\d+)\]")
_SIZE = re.compile(r"(model|quant) size += +([\d.]+) MiB")

Tell = Callable[[int, int], None]  # tensors that are done, and all


@dataclass(frozen=True)
class Plan:
    """What quantising a model will give."""

    quantisation: str
    target: Path
    size_bytes: int
    is_requantised: bool
    """Whether the source is quantised itself: what it has lost stays lost."""


def plan(source: LocatedModel, quantisation: str, target: Path) -> Plan:
    """Ask llama.cpp how large the result will be; nothing is written. Raises KrukError."""
    name = quantisation.upper()
    if name not in TYPES:
        hint = f"{nearest(name.lower(), [known.lower() for known in TYPES])} There is {', '.join(TYPES)}"
        raise KrukError(f"There is no quantisation `{quantisation}`", hint.strip())
    if len(stores.parts_of(source.path)[0]) > 1:
        raise ModelFileError(f"`{source.name}` comes in several files", "Choose a model in one file")
    sizes = _run(source.path, target, TYPES[name], "dry", lambda *_: None)
    if set(sizes) != {"model", "quant"}:
        raise KrukError("llama.cpp did not say how large the result will be", "Install Kruk again")
    n_bytes = source.size_bytes + int((sizes["quant"] - sizes["model"]) * (1 << 20))
    return Plan(name, target, n_bytes, bool(set(source.header.matrix_bytes) - _WHOLE))


def quantize(source: LocatedModel, what: Plan, tell: Tell) -> Path:
    """Write the result, whole or not at all; the partial file goes also when this is interrupted.

    Raises KrukError: the disk is full, the target is there already, llama.cpp failed.
    """
    target = what.target
    if target.exists():
        raise KrukError(f"`{target}` is there already", "Delete it, or name another file with `--out`")
    target.parent.mkdir(parents=True, exist_ok=True)
    if (free := free_bytes(target.parent)) < what.size_bytes:
        raise KrukError(
            f"The result needs {size_text(what.size_bytes)} of disk, `{target.parent}` has {size_text(free)}",
            "Make room, or name a file on another disk with `--out`",
        )
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        _run(source.path, part, TYPES[what.quantisation], "requantise" if what.is_requantised else "", tell)
        gguf.read_header(part)  # it is whole, and a model that this version reads
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _run(source: Path, target: Path, number: int, mode: str, tell: Tell) -> dict[str, float]:
    """Let the other process work; returns the sizes in MiB that it found. Raises KrukError when it fails."""
    command = [sys.executable, "-m", "lsp_server.model.quantize", str(source), str(target), str(number), mode]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    pipe = subprocess.PIPE
    sizes: dict[str, float] = {}
    error = ""
    with subprocess.Popen(
        command, stdout=pipe, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=environment
    ) as process:
        try:
            for line in process.stdout or ():
                said = json.loads(line)
                if "at" in said:
                    tell(said["at"], said["of"])
                elif "error" in said:
                    error = said["error"]
                else:
                    sizes |= said
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0 or error:
        why = error or f"its process ended with code {process.returncode}"
        raise KrukError(f"llama.cpp could not quantise `{source.name}`: {why}", "Nothing was written")
    return sizes


def _main(source: str, target: str, number: str, mode: str) -> None:
    """Quantise in this process, printing what llama.cpp says."""
    from lsp_server.model.llama_library import lib

    last_error = ""

    @lib.llama_log_callback  # type: ignore[untyped-decorator]
    def on_log(level: int, text: bytes, _data: object) -> None:
        nonlocal last_error
        words = text.decode("utf-8", "replace")
        if level >= 4 and words.strip():
            last_error = words.strip()
        if tensor := _TENSOR.match(words):
            _say({"at": int(tensor[1]), "of": int(tensor[2])})
        elif size := _SIZE.search(words):
            _say({size[1]: float(size[2])})

    lib.llama_log_set(on_log, ctypes.c_void_p(0))
    params = lib.llama_model_quantize_default_params()
    params.ftype, params.nthread = int(number), memory.default_threads()
    params.dry_run, params.allow_requantize = mode == "dry", mode in ("dry", "requantise")
    code = lib.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(params))
    if code:
        _say({"error": last_error or f"code {code}"})


def _say(values: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main(*sys.argv[1:5])

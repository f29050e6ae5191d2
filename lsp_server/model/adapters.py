"""LoRA adapters: small files that change what a model says. Which ones, and whether they are for this model."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from pathlib import Path

from lsp_server.errors import ModelFileError, ModelNotFound
from lsp_server.model import gguf
from lsp_server.model.gguf_header import GgufHeader

_HINT = "Correct `kruk.adapters`"


@dataclass(frozen=True)
class Adapter:
    """One adapter, and how much of it is added: 1 is as it was trained."""

    path: Path
    scale: float

    def __str__(self) -> str:
        """As it is written in a setting."""
        return f"{self.path}@{self.scale!r}"


def adapter_of(written: str) -> Adapter:
    """Read `PATH` or `PATH@SCALE`. Raises ModelNotFound when there is no such file."""
    path, scale = _home(written), 1.0
    name, _, number = written.rpartition("@")
    if name and not path.is_file():
        with contextlib.suppress(ValueError):
            path, scale = _home(name), float(number)
    if not path.is_file() or not math.isfinite(scale):
        raise ModelNotFound(f"There is no adapter `{written}`", f"{_HINT}: a path, or a path with `@0.5` behind it")
    return Adapter(path.absolute(), scale)


def _home(written: str) -> Path:
    try:
        return Path(written).expanduser()
    except RuntimeError:  # no such user's home
        return Path(written)


def check(adapter: Adapter, base: GgufHeader) -> None:
    """Refuse what is no LoRA adapter, or one for other models. Raises ModelFileError.

    Whether its shapes fit is for llama.cpp to see: two sizes of a family have the same architecture.
    """
    name, header = adapter.path.name, gguf.read_header(adapter.path)
    if header.metadata.get("general.type") != "adapter" or header.metadata.get("adapter.type") != "lora":
        raise ModelFileError(f"`{name}` is a GGUF, but not a LoRA adapter", _HINT)
    if header.architecture != base.architecture:
        what = (
            f"`{name}` is for models of the architecture `{header.architecture}`; this one is `{base.architecture}`"
        )
        raise ModelFileError(what, "Take the model that the adapter was trained for")

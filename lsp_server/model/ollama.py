"""Ollama's store: which files a tag stands for. https://github.com/ollama/ollama/blob/main/docs/modelfile.mdx"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOST, NAMESPACE = "registry.ollama.ai", "library"
_LAYER = "application/vnd.ollama.image."
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """One tag. `weights` is its GGUF file, `problem` why it cannot be used, as far as the manifest tells.

    `parameters` and `template` are what Ollama would use; `is_its_own` whether Ollama itself made the file.
    """

    name: str
    path: Path
    weights: Path | None = None
    sha256: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    template: str = ""
    has_projector: bool = False
    is_its_own: bool = False
    problem: str = ""
    can_be_repaired: bool = False


def manifests(folder: Path) -> Iterator[Manifest]:
    """Every tag in a models folder of Ollama."""
    for path in sorted((folder / "manifests").glob("*/*/*/*")):
        if not path.is_file() or path.name.startswith("."):
            continue
        host, namespace, model, tag = path.relative_to(folder / "manifests").parts
        places = [host, namespace] if host != HOST else [namespace] if namespace != NAMESPACE else []
        name = "/".join([*places, model]) + f":{tag}"
        try:
            yield _read(folder, name, path, host == HOST)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            yield Manifest(name, path, problem="has a manifest that cannot be read", can_be_repaired=True)


def _read(folder: Path, name: str, path: Path, is_its_own: bool) -> Manifest:
    manifest = json.loads(path.read_text("utf-8"))
    layers: dict[str, dict[str, Any]] = {}
    for layer in manifest["layers"]:
        layers.setdefault(layer["mediaType"].removeprefix(_LAYER), layer)
    config = _json(folder, manifest.get("config"))
    if config.get("remote_host") or config.get("remote_model"):
        return Manifest(name, path, problem="is a cloud model: its weights are not on this machine")
    if "model" not in layers:
        what = config.get("model_format") or ("safetensors" if "tensor" in layers else "no")
        return Manifest(name, path, problem=f"has {what} weights, which only Ollama itself can load")
    weights = _blob(folder, layers["model"])
    problem = ""
    if weights is None or not weights.is_file():
        problem = "lacks its weights: they are not in `blobs`"
    elif weights.stat().st_size != layers["model"].get("size"):
        problem = f"is incomplete: {weights.stat().st_size:,} of {layers['model'].get('size', 0):,} bytes are there"
    return Manifest(
        name,
        path,
        weights,
        str(layers["model"]["digest"]).removeprefix("sha256:"),
        _json(folder, layers.get("params")),
        _text(folder, layers.get("template")),
        "projector" in layers,
        is_its_own,
        problem,
        can_be_repaired=True,
    )


def _blob(folder: Path, layer: Mapping[str, Any]) -> Path | None:
    """The file of a layer; None for a digest that is none, which might name a file anywhere."""
    digest = str(layer.get("digest"))
    return folder / "blobs" / digest.replace(":", "-") if _DIGEST.fullmatch(digest) else None


def _text(folder: Path, layer: Mapping[str, Any] | None) -> str:
    path = _blob(folder, layer) if layer else None
    with contextlib.suppress(OSError, ValueError):
        return path.read_text("utf-8") if path else ""
    return ""


def _json(folder: Path, layer: Mapping[str, Any] | None) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        value = json.loads(_text(folder, layer) or "{}")
        return value if isinstance(value, dict) else {}
    return {}

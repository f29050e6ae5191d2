"""Builds the folders of other programs as they would be on a machine of a given system."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from lsp_server.model.stores import Machine, System
from tests import gguf_files as files

LAYER = "application/vnd.ollama.image."


def machine(system: System, home: Path) -> Machine:
    """A machine with nothing on it; its variables are those that the system always sets."""
    home.mkdir(parents=True, exist_ok=True)
    local, roaming = str(home / "AppData" / "Local"), str(home / "AppData" / "Roaming")
    return Machine(system, home, {"LOCALAPPDATA": local, "APPDATA": roaming} if system == "windows" else {})


def ollama(models: Path, name: str, weights: bytes | Path, *, parameters=None, template="", config=None) -> Path:
    """A tag as `ollama pull` leaves it, and the path of its weights. name: "host/namespace/model/tag"."""
    layers = []
    for kind, content in (("model", weights), ("template", template), ("params", parameters)):
        if content:
            content = json.dumps(content) if isinstance(content, dict) else content
            layers.append({"mediaType": LAYER + kind, **_blob(models, content)})
    manifest = {"schemaVersion": 2, "layers": layers, "config": _blob(models, json.dumps(config or {}))}
    files.write(models / "manifests" / name, json.dumps(manifest).encode())
    return models / "blobs" / layers[0]["digest"].replace(":", "-")


def _blob(models: Path, content: bytes | str | Path) -> dict[str, object]:
    if isinstance(content, Path):
        with content.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else ""
        digest = digest or hashlib.sha256(content.read_bytes()).hexdigest()
        path = models / "blobs" / f"sha256-{digest}"
        path.parent.mkdir(parents=True, exist_ok=True)
        place(content, path)
        return {"digest": f"sha256:{digest}", "size": content.stat().st_size}
    raw = content.encode() if isinstance(content, str) else content
    digest = hashlib.sha256(raw).hexdigest()
    files.write(models / "blobs" / f"sha256-{digest}", raw)
    return {"digest": f"sha256:{digest}", "size": len(raw)}


def place(source: Path, target: Path) -> Path:
    """Make a file be at `target` too, without a copy where that can be had."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk
        target.symlink_to(source)
    return target


def hub(cache: Path, repo: str, file: str, content: bytes, revision: str = "a" * 40, is_current: bool = True) -> Path:
    """A file as `hf download` leaves it; a plain one where symlinks cannot be made, as on Windows."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    blob = files.write(folder / "blobs" / hashlib.sha256(content).hexdigest(), content)
    path = folder / "snapshots" / revision / file
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.symlink_to(os.path.relpath(blob, path.parent))
    except OSError:
        blob.replace(path)
    if is_current:
        files.write(folder / "refs" / "main", revision.encode())
    return path

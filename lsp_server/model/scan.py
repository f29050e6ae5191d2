"""All models that other programs have on this machine, with what their headers say. Nothing is changed or copied."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

from lsp_server.errors import ModelFileError
from lsp_server.model import gguf, registry, stores
from lsp_server.model.gguf_header import Role
from lsp_server.model.ollama import Manifest
from lsp_server.model.registry import LocatedModel
from lsp_server.model.stores import Stored

_N_SAMPLES, _SAMPLE_BYTES = 32, 4096


@dataclass(frozen=True)
class Found:
    """One file: a model (`located`), or of another `role`, or broken (`problem`, `hint`).

    `same` are other names of this very file, `copies` files elsewhere with the same content.
    """

    stored: Stored
    role: Role
    located: LocatedModel | None = None
    problem: str = ""
    hint: str = ""
    notes: tuple[str, ...] = ()
    same: tuple[str, ...] = field(default=())
    copies: tuple[str, ...] = field(default=())


def scan(users: Sequence[Path] = (), tell: Callable[[str], None] = lambda _: None) -> list[Found]:
    """Find the models of other programs, and those in folders that the user names; `tell` hears where it is."""
    found: dict[object, Found] = {}
    for one in stores.everything(users):
        tell(one.name)
        key = _identity(one)
        if key in found:
            first = found[key]
            found[key] = replace(first, same=(*first.same, one.name))
        else:
            found[key] = _look(one)
    return _with_copies(list(found.values()))


def _identity(one: Stored) -> object:
    """What two names of one file have in common; a problem is an identity of its own."""
    with contextlib.suppress(OSError):
        status = one.path.stat()
        if not one.problem and status.st_ino:
            return status.st_dev, status.st_ino
    return one.store.id, one.name


def _look(one: Stored) -> Found:
    if one.problem:
        return Found(one, "other file", None, one.problem, one.hint)
    try:
        header = gguf.read_header(one.path)
        role: Role = "projector" if "mmproj" in one.path.name.lower() else header.role
        if role != "model":
            return Found(one, role)
        located = registry.describe(one)
    except ModelFileError as error:
        return Found(one, "other file", None, error.what.partition("` ")[2], one.repair)
    return Found(one, "model", located, notes=tuple(_notes(one, one.manifest, located)))


def _notes(one: Stored, manifest: Manifest | None, located: LocatedModel) -> list[str]:
    notes = []
    header = located.header
    has_images = f"{header.architecture}.vision.block_count" in header.metadata
    is_patched = manifest is not None and manifest.is_its_own and header.architecture in one.store.patched
    if is_patched or has_images:
        notes.append(f"made for {one.store.title}'s own llama.cpp, it may not load here: take a GGUF from elsewhere")
    return notes


def _with_copies(found: list[Found]) -> list[Found]:
    """Tell which files have the same content, by samples of those that are of the same size."""
    digests: dict[object, list[Found]] = {}
    sizes = [one.stored.size_bytes for one in found]
    for one, size in zip(found, sizes, strict=True):
        if one.located and sizes.count(size) > 1:
            digests.setdefault(_samples(one.stored.path, size), []).append(one)
    names = {id(one): [other.stored.name for other in alike] for alike in digests.values() for one in alike}
    return [
        replace(one, copies=tuple(name for name in names.get(id(one), ()) if name != one.stored.name))
        for one in found
    ]


def _samples(path: Path, size: int) -> object:
    """What tells files of the same size apart, without reading all of them."""
    digest = blake2b(size.to_bytes(8, "little"))
    try:
        with path.open("rb") as stream:
            for i in range(_N_SAMPLES):
                stream.seek(size * i // _N_SAMPLES)
                digest.update(stream.read(_SAMPLE_BYTES))
    except OSError:
        return os.urandom(16)  # it is like no other
    return digest.digest()

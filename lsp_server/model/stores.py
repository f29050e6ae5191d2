"""Model files that other programs keep on this machine: where their folders are, and what is in them by name.

A program is a row of stores.json. It reads names and manifests, no file headers; and it never writes.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from lsp_server.model.ollama import Manifest, manifests

System = Literal["linux", "macos", "windows"]

DEEPEST = 4  # folders below one that the user names
USERS_OWN = "folder"  # the store of the folders that the user names

_VARIABLE = re.compile(r"\$(\w+)")
_CONTENT = re.compile(r"<([^<>]*)>")
_SPLIT = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)


class Store(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program that keeps models, as a row of stores.json.

    In `folders` `~` is the home folder, `$NAME` a variable of the environment, `<FILE>` what a text file says and
    `<FILE#KEY>` what a JSON file says under a key. A folder of which a part is missing is left out.
    """

    id: str
    title: str
    layout: Literal["files", "hub", "ollama"]
    folders: dict[Literal["all", "linux", "macos", "windows"], list[str]]
    repair: str
    """What to do about a damaged file; may have {name}, {repo} and {file}."""
    access: str
    """What to do about a folder that cannot be read."""
    pattern: str = ""
    """Where the files are in a folder."""
    named_by: Literal["file", "folder"] = "file"
    patched: tuple[str, ...] = ()
    """Architectures whose files this program writes for its own version of llama.cpp."""


@dataclass(frozen=True)
class Machine:
    """Whose folders are looked for."""

    system: System
    home: Path
    environment: Mapping[str, str]

    @classmethod
    def this(cls) -> Machine:
        """The one that runs this."""
        systems: dict[str, System] = {"win32": "windows", "darwin": "macos"}
        return cls(systems.get(sys.platform, "linux"), Path.home(), os.environ)


@dataclass(frozen=True)
class Stored:
    """A model in a store, or what is wrong with one.

    `name` is what `kruk models use` takes, `path` the file, or the first of `parts` files. `problem` is what its
    names already show; `sha256` is what the store says of the file, "" when it says nothing.
    """

    store: Store
    name: str
    path: Path
    parts: tuple[Path, ...] = ()
    problem: str = ""
    hint: str = ""
    sha256: str = ""
    manifest: Manifest | None = None
    terms: Mapping[str, str] = field(default_factory=dict)

    @property
    def repair(self) -> str:
        """What to do when the file is damaged."""
        return self.store.repair.format(**self.terms) if self.terms else self.store.repair

    @property
    def size_bytes(self) -> int:
        """Of all its parts; 0 for what cannot be read."""
        total = 0
        for part in self.parts:
            with contextlib.suppress(OSError):
                total += part.stat().st_size
        return total


@functools.cache
def load_stores() -> tuple[Store, ...]:
    """All rows of stores.json."""
    return msgspec.json.decode(Path(__file__).with_name("stores.json").read_bytes(), type=tuple[Store, ...])


def users_folder(folder: Path) -> Store:
    """The store that a folder is which the user names."""
    repair, access = "Download it again, or delete it", "Check its permissions"
    return Store(USERS_OWN, str(folder), "files", {"all": [str(folder)]}, repair, access, "**/*.gguf")


def folders(store: Store, machine: Machine) -> list[Path]:
    """The folders of a store that exist on this machine, each once."""
    found: dict[Path, Path] = {}
    for template in [*store.folders.get("all", ()), *store.folders.get(machine.system, ())]:
        path = _folder(template, machine)
        try:
            if path is not None and path.is_dir():
                found.setdefault(path.resolve(), path)
        except PermissionError:  # it may be there: `stored` says that it cannot be read
            found.setdefault(path or machine.home, path or machine.home)
        except OSError:
            continue
    return list(found.values())


def stored(store: Store, machine: Machine | None = None) -> list[Stored]:
    """What is in a store, by name; nothing is opened but manifests. A folder that cannot be read is told as such."""
    found: dict[str, Stored] = {}
    for folder in folders(store, machine or Machine.this()):
        try:
            next(iter(os.scandir(folder)), None)
            inside = list(_in_ollama(store, folder) if store.layout == "ollama" else _in_files(store, folder))
        except OSError as error:
            inside = [Stored(store, str(folder), folder, (), f"cannot be read: {error.strerror}", store.access)]
        for one in inside:
            found.setdefault(one.name.lower(), one)
    return _with_short_names(list(found.values()))


def everything(users: Sequence[Path] = ()) -> list[Stored]:
    """What is in all stores of this machine and in the folders that the user names."""
    return [one for store in [*load_stores(), *map(users_folder, users)] for one in stored(store)]


def named(text: str) -> list[Stored] | None:
    """What "STORE:NAME" can mean, in any case; None when it names no store.

    A name may leave out the first folders of the full one, or be a repository, with ":QUANTISATION" at its end.
    """
    prefix, colon, name = text.strip().partition(":")
    store = next((store for store in load_stores() if store.id == prefix.lower()), None)
    if store is None or not colon:
        return None
    wanted = name.strip().lower().removesuffix(".gguf")
    if store.layout == "ollama":
        wanted = wanted if ":" in wanted.rpartition("/")[2] else f"{wanted}:latest"
    there = [one for one in stored(store) if one.parts]
    for means in (_is_named, _ends_with, _is_repository):
        if found := [one for one in there if means(one, wanted)]:
            return found
    return []


def parts_of(path: Path) -> tuple[tuple[Path, ...], str]:
    """The files that a model comes in, by the name of one, and which of them is missing."""
    match = _SPLIT.search(path.name)
    if match is None:
        return (path,), ""
    n = int(match[2])
    names = [f"{path.name[: match.start()]}-{i:05}-of-{n:05}{path.name[-5:]}" for i in range(1, n + 1)]
    parts = [path.with_name(name) for name in names]
    missing = [part.name for part in parts if not part.is_file()]
    return tuple(part for part in parts if part.is_file()), ", ".join(missing)


def _folder(template: str, machine: Machine) -> Path | None:
    """The path that a template stands for; None when a part of it is missing."""
    text = template
    while match := _CONTENT.search(text):
        file, _, key = match[1].partition("#")
        path = _folder(file, machine)
        content = _content(path, key) if path else ""
        if not content or "<" in content:
            return None
        text = text[: match.start()] + content + text[match.end() :]
    names = _VARIABLE.findall(text) if "$" in template else []
    if not all(machine.environment.get(name) for name in names):
        return None
    text = _VARIABLE.sub(lambda match: machine.environment[match[1]], text) if names else text
    return machine.home / text[2:] if text.startswith("~/") else Path(text)


def _content(path: Path, key: str) -> str:
    try:
        text = path.read_text("utf-8")
        if not key:
            return text.strip()
        value = json.loads(text).get(key)
    except (OSError, ValueError, AttributeError):
        return ""
    return value if isinstance(value, str) else ""


def _in_files(store: Store, folder: Path) -> Iterator[Stored]:
    for path in _glob(store, folder):
        parts, missing = parts_of(path)
        if parts and path != parts[0]:
            continue
        relative = path.relative_to(folder)
        terms, sha256 = {"name": path.name}, ""
        if store.layout == "hub":
            repo = relative.parts[0].removeprefix("models--").replace("--", "/")
            file = Path(*relative.parts[3:])
            terms = {"name": path.name, "repo": repo, "file": file.as_posix()}
            relative, blob = Path(repo, file), path.resolve().name
            sha256 = blob if re.fullmatch("[0-9a-f]{64}", blob) else ""
        elif store.named_by == "folder" and len(relative.parts) > 1 and _is_alone(path):
            relative = relative.parent.with_name(relative.parent.name + ".gguf")
        label = _SPLIT.sub("", relative.as_posix()).removesuffix(".gguf")
        name = str(path) if store.id == USERS_OWN else f"{store.id}:{label}"
        problem = f"lacks {missing}" if missing else "" if path.exists() else "points to a file that is gone"
        one = Stored(store, name, path, parts or (path,), problem, sha256=sha256, terms=terms)
        yield replace(one, hint=one.repair if problem else "")


def _is_alone(path: Path) -> bool:
    return [other for other in path.parent.glob("*.gguf") if "mmproj" not in other.name.lower()] == [path]


def _glob(store: Store, folder: Path) -> list[Path]:
    """The files of a store, those of a hub's current revision first and then the newest."""
    deepest = DEEPEST + 1 if "**" in store.pattern and store.layout == "files" else 99
    found = [path for path in folder.glob(store.pattern) if len(path.relative_to(folder).parts) <= deepest]
    if store.layout != "hub":
        return sorted(path for path in found if path.is_symlink() or path.is_file())

    def rank(path: Path) -> tuple[Any, ...]:
        repo, _, revision = path.relative_to(folder).parts[:3]
        return repo, revision != _content(folder / repo / "refs" / "main", ""), path.as_posix()

    return sorted(found, key=rank)


def _in_ollama(store: Store, folder: Path) -> Iterator[Stored]:
    for manifest in manifests(folder):
        name, path = f"{store.id}:{manifest.name}", manifest.weights or manifest.path
        hint = ""
        if manifest.problem:
            repair = store.repair.format(name=manifest.name)
            hint = repair if manifest.can_be_repaired else "Choose another of its tags, or another model"
        terms = {"name": manifest.name}
        yield Stored(store, name, path, (path,), manifest.problem, hint, manifest.sha256, manifest, terms)


def _with_short_names(found: list[Stored]) -> list[Stored]:
    """Leave out the folders in a name where the last part of it tells all."""
    ends = [one.name.rpartition("/")[2].lower() for one in found]
    return [
        replace(one, name=f"{one.store.id}:{one.name.rpartition('/')[2]}")
        if one.store.layout != "ollama" and one.store.id != USERS_OWN and ends.count(end) == 1 and "/" in one.name
        else one
        for one, end in zip(found, ends, strict=True)
    ]


def _is_named(one: Stored, wanted: str) -> bool:
    return one.name.partition(":")[2].lower() == wanted


def _ends_with(one: Stored, wanted: str) -> bool:
    names = [one.path.as_posix().lower(), one.name.lower().partition(":")[2]]
    return any(f"/{name.removesuffix('.gguf')}".endswith(f"/{wanted}") for name in names)


def _is_repository(one: Stored, wanted: str) -> bool:
    repo, _, quantisation = wanted.partition(":")
    folder = one.terms.get("repo", one.path.parent.as_posix()).lower()
    return bool(repo) and f"/{folder}".endswith(f"/{repo}") and quantisation in one.path.name.lower()

"""From an import to the files of the workspace that it means, by the strategy of its language.

What leads out of the workspace, to the standard library or an installed package, leads nowhere here.
"""

from __future__ import annotations

import functools
import json
import posixpath
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from lsp_server.context.languages import Facts, Strategy
from lsp_server.context.workspace import Workspace, nearest
from lsp_server.syntax.definitions import Import

MOST_INCLUDED = 4  # files that one `#include` may mean
SOURCE_FOLDERS = ("", "src/", "lib/", "python/")


class Target(NamedTuple):
    """A file that is imported, and what of it: pairs (name there, name here), "" being the file itself."""

    path: str
    names: tuple[tuple[str, str], ...]


def targets(found: Import, path: str, facts: Facts, workspace: Workspace) -> list[Target]:
    """Resolve one import of the file `path`."""
    return [target for target in _STRATEGIES[facts.strategy](found, path, facts, workspace) if target.path != path]


def _nothing(_found: Import, _path: str, _facts: Facts, _workspace: Workspace) -> Iterator[Target]:
    yield from ()


# -- Python -------------------------------------------------------------------------------------------------------


def _python_package(found: Import, path: str, facts: Facts, workspace: Workspace) -> Iterator[Target]:
    module = found.module
    n_dots = len(module) - len(module.lstrip("."))
    parts = [part for part in module[n_dots:].split(".") if part]
    folders = path.split("/")[:-1]
    if n_dots > len(folders) + 1:
        return

    def locate(parts: list[str]) -> str | None:
        if n_dots:
            wanted = [*folders[: len(folders) - n_dots + 1], *parts]
            return next(filter(workspace.has, _python_files("/".join(wanted), facts)), None)
        return _python_anywhere("/".join(parts), path, facts, workspace)

    file = locate(parts)
    is_folder = file is None or posixpath.basename(file).partition(".")[0] == facts.folder_file
    rest = []
    for name, here in found.names or (("", module),):
        submodule = locate([*parts, name]) if is_folder and name not in ("", "*") else None
        if submodule:
            yield Target(submodule, (("", here),))
        else:
            rest.append((name, here))
            is_folder = file is not None  # no package, and not even a folder with one: an installed module
    if file and rest:
        yield Target(file, tuple(rest))


def _python_files(path: str, facts: Facts) -> list[str]:
    """The files that a module may be, given its path without an ending."""
    files = [f"{path}.{ending}" for ending in facts.file_types] if path else []
    return files + [posixpath.join(path, f"{facts.folder_file}.{ending}") for ending in facts.file_types]


def _python_anywhere(name: str, path: str, facts: Facts, workspace: Workspace) -> str | None:
    """An absolute import: from a folder above the file, from one with sources in it, else the nearest that fits."""
    folders = path.split("/")[:-1]
    bases = ["".join(f"{part}/" for part in folders[:n]) for n in range(len(folders), -1, -1)]
    for tail in _python_files(name, facts):
        files = workspace.ending(tail)
        for base in (f"{base}{source}" for base in bases for source in SOURCE_FOLDERS) if files else ():
            if f"{base}{tail}" in files:
                return f"{base}{tail}"
        if files and "/" in name:  # a lone name may as well be one of the standard library's
            return nearest(files, path)[0]
    return None


# -- JavaScript and TypeScript ------------------------------------------------------------------------------------


def _relative_file(found: Import, path: str, facts: Facts, workspace: Workspace) -> Iterator[Target]:
    folder = posixpath.dirname(path)
    if found.module.startswith("."):
        wanted = [posixpath.join(folder, found.module)]
    else:
        wanted = list(_mapped(found.module, folder, facts, workspace))
    for candidate in wanted:
        if file := _script(posixpath.normpath(candidate), facts, workspace):
            yield Target(file, found.names or (("", ""),))
            return


def _script(path: str, facts: Facts, workspace: Workspace) -> str | None:
    stem, dot, ending = path.rpartition(".")
    written = [path] if dot and ending in facts.file_types else []
    # TypeScript names the `.js` that a `.ts` becomes.
    swapped = [f"{stem}.{other}" for other in facts.file_types] if written else []
    added = [f"{path}.{ending}" for ending in facts.file_types]
    folder = [posixpath.join(path, f"{facts.folder_file}.{ending}") for ending in facts.file_types]
    return next(filter(workspace.has, [*written, *swapped, *added, *folder]), None)


def _mapped(module: str, folder: str, facts: Facts, workspace: Workspace) -> Iterator[str]:
    """Where `paths` and `baseUrl` of the nearest configuration lead."""
    config = next(filter(workspace.has, _project_files(folder, facts)), None)
    for _ in range(3):  # configurations may extend one another
        if not config:
            return
        here = posixpath.dirname(config)
        content = _json(workspace.lines(config))
        options = content.get("compilerOptions")
        options = options if isinstance(options, dict) else {}
        base = posixpath.join(here, str(options.get("baseUrl", ".")))
        paths = options.get("paths")
        for pattern, places in paths.items() if isinstance(paths, dict) else ():
            before, star, after = pattern.partition("*")
            fits = module.startswith(before) and module.endswith(after) if star else module == pattern
            if fits and isinstance(places, list):
                middle = module[len(before) : len(module) - len(after)] if star else ""
                yield from (posixpath.join(base, str(place).replace("*", middle)) for place in places)
        if "baseUrl" in options:
            yield posixpath.join(base, module)
        extends = content.get("extends")
        config = posixpath.normpath(posixpath.join(here, extends)) if isinstance(extends, str) else None
        if config and not config.endswith(".json"):
            config += ".json"


def _project_files(folder: str, facts: Facts) -> Iterator[str]:
    """The project files of a folder and of those above it, the nearest first."""
    while True:
        yield from (posixpath.join(folder, name) for name in facts.project_files)
        if not folder:
            return
        folder = posixpath.dirname(folder)


def _json(lines: list[str]) -> dict[str, object]:
    """Read JSON with comments and trailing commas; {} for what is not."""
    text = "\n".join(lines)
    text = re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', lambda match: match[1] or "", text, flags=re.DOTALL)
    text = re.sub(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', lambda match: match[1] or "", text)
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


# -- Go -----------------------------------------------------------------------------------------------------------


def _go_module(found: Import, _path: str, facts: Facts, workspace: Workspace) -> Iterator[Target]:
    here = found.names[0][1] if found.names else posixpath.basename(found.module)
    for config in (config for name in facts.project_files for config in workspace.ending(name)):
        module = _first(r"^\s*module\s+(\S+)", workspace.lines(config))
        if module and (found.module == module or found.module.startswith(f"{module}/")):
            folder = posixpath.join(posixpath.dirname(config), found.module[len(module) + 1 :]).rstrip("/")
            for file in workspace.in_folder(folder):
                if not file.endswith("_test.go"):
                    yield Target(file, (("*", "*") if here == "." else ("", here),))


# -- Rust ---------------------------------------------------------------------------------------------------------


def _rust_module(found: Import, path: str, facts: Facts, workspace: Workspace) -> Iterator[Target]:
    ending = facts.file_types[0]
    source, own = _rust_place(path, facts)
    for segments, here in _use_tree(found.module):
        first = segments[0]
        if first == "crate":
            base, wanted = source, segments[1:]
        elif first in ("self", "super"):
            n_super = sum(1 for segment in segments if segment == "super")
            base, wanted = source, [*own[: len(own) - n_super], *segments[max(1, n_super) :]]
        elif any(_rust_files(source, [*own, first], facts, workspace)):
            base, wanted = source, [*own, *segments]
        elif (other := _crate(first, ending, facts, workspace)) is not None:
            base, wanted = other, segments[1:]
        else:
            continue
        for n in range(len(wanted), -1, -1):  # the longest part that is a module; what is left is a name in it
            if file := next(_rust_files(base, wanted[:n], facts, workspace), None):
                rest = wanted[n:]
                yield Target(file, ((rest[0] if rest else "", here),))
                break


def _rust_place(path: str, facts: Facts) -> tuple[str, list[str]]:
    """The folder of the crate's sources that a file belongs to, and its module's name in parts."""
    folders = path.split("/")
    stem = folders.pop().rpartition(".")[0]
    at = max((n for n, part in enumerate(folders) if part == "src"), default=len(folders) - 1) + 1
    own = folders[at:]
    if stem not in (facts.folder_file, "lib", "main"):
        own = [*own, stem]
    return "".join(f"{part}/" for part in folders[:at]), own


def _rust_files(base: str, segments: list[str], facts: Facts, workspace: Workspace) -> Iterator[str]:
    ending = facts.file_types[0]
    stem = base + "/".join(segments)
    names = [f"{stem}.{ending}", f"{stem}/{facts.folder_file}.{ending}"] if segments else []
    yield from filter(workspace.has, names or [f"{base}lib.{ending}", f"{base}main.{ending}"])


def _crate(name: str, ending: str, facts: Facts, workspace: Workspace) -> str | None:
    """The folder with the sources of a crate of the workspace."""
    for config in (config for file in facts.project_files for config in workspace.ending(file)):
        if (_first(r'^\s*name\s*=\s*"([^"]+)"', workspace.lines(config)) or "").replace("-", "_") == name:
            base = posixpath.join(posixpath.dirname(config), "src/")
            return base if workspace.has(f"{base}lib.{ending}") else None
    return None


def _use_tree(text: str) -> list[tuple[list[str], str]]:
    """Take `a::{b, c::{self, D as E}, f::*}` apart: (path in parts, name here)."""
    tokens = re.findall(r"[{},]|::|\bas\b|\*|[\w#]+", text)
    leaves: list[tuple[list[str], str]] = []
    stack: list[list[str]] = [[]]
    segments: list[str] = []
    alias = ""

    def leaf() -> None:
        parts = [*stack[-1], *segments]
        if len(parts) > 1 and parts[-1] == "self":
            parts.pop()
        if parts and (segments or alias):
            leaves.append((parts, alias or parts[-1]))

    for before, token in zip(["", *tokens], tokens, strict=False):
        if token == "{":
            stack.append([*stack[-1], *segments])
            segments, alias = [], ""
        elif token in ",}":
            leaf()
            segments, alias = [], ""
            if token == "}" and len(stack) > 1:
                stack.pop()
        elif before == "as":
            alias = token
        elif token not in ("::", "as"):
            segments.append(token)
    leaf()
    return leaves


# -- Java ---------------------------------------------------------------------------------------------------------


def _java_package(found: Import, path: str, facts: Facts, workspace: Workspace) -> Iterator[Target]:
    parts = found.module.split(".")
    ending = facts.file_types[0]
    for n in range(len(parts), 0, -1):  # what follows a class is a class in it, or a member
        files = nearest(workspace.ending("/".join(parts[:n]) + f".{ending}"), path)
        if files:
            yield Target(files[0], ((parts[-1], parts[-1]),))
            return
    if found.names:
        package = "/".join(parts)
        folders = path.split("/")[:-1]
        for n in range(len(folders), -1, -1):
            base = "".join(f"{part}/" for part in folders[:n])
            if files := workspace.in_folder(base + package):
                yield from (Target(file, (("*", "*"),)) for file in files)
                return


# -- C and C++ ----------------------------------------------------------------------------------------------------


def _include(found: Import, path: str, _facts: Facts, workspace: Workspace) -> Iterator[Target]:
    beside = posixpath.normpath(posixpath.join(posixpath.dirname(path), found.module))
    if workspace.has(beside):
        files = [beside]
    else:
        tail = "/".join(part for part in found.module.split("/") if part not in ("..", "."))
        files = nearest(workspace.ending(tail), path)[:MOST_INCLUDED]
    yield from (Target(file, (("*", "*"),)) for file in files)


def _first(pattern: str, lines: list[str]) -> str | None:
    return next((match[1] for line in lines if (match := _compiled(pattern).match(line))), None)


_compiled = functools.cache(re.compile)

_STRATEGIES: dict[Strategy, Callable[[Import, str, Facts, Workspace], Iterator[Target]]] = {
    "python-package": _python_package,
    "relative-file": _relative_file,
    "go-module": _go_module,
    "rust-module": _rust_module,
    "java-package": _java_package,
    "include": _include,
    "none": _nothing,
}

"""Which files of a workspace are looked at: not what git ignores, settings exclude, or a tool made.

Symbolic links are not followed: what they lead to is either in the workspace already or none of its business.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pathspec

from lsp_server.context.store import Stamp

SKIPPED_FOLDERS = {".git", ".hg", ".svn", "node_modules", "__pycache__"}
# A folder that holds one of these was made by a tool: caches (bford.info/cachedir), builds, virtual environments.
TOOL_MARKS = {"CACHEDIR.TAG", "pyvenv.cfg"}
MAX_DEPTH = 64


class Folder(NamedTuple):
    """One folder of the workspace, and its files by name."""

    path: str
    files: dict[str, Stamp]


@dataclass(frozen=True)
class _Rules:
    """Patterns that hold in a folder, the strongest last, each with the folder that they are relative to."""

    rules: tuple[tuple[str, pathspec.GitIgnoreSpec], ...] = ()

    def ignores(self, path: str) -> bool:
        """Whether a path, that of a folder with a slash at its end, is left out."""
        for folder, spec in reversed(self.rules):
            include = spec.check_file(path[len(folder) :]).include
            if include is not None:
                return include
        return False

    def below(self, file: Path, folder: str) -> _Rules:
        """These, and those of an ignore file if there is one."""
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            return _Rules((*self.rules, (folder, pathspec.GitIgnoreSpec.from_lines(lines))))
        except (OSError, ValueError):  # none, or a pattern that is not valid
            return self


class Walker:
    """Walks one workspace. Paths given out are relative to it; those in the rules are relative to the repository."""

    def __init__(self, root: Path, exclude_globs: tuple[str, ...]) -> None:
        self._root = root
        self._excluded = pathspec.GitIgnoreSpec.from_lines(exclude_globs)
        top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
        parts = root.relative_to(top).parts
        self._above = "".join(f"{part}/" for part in parts)
        rules = _Rules().below(top / ".git" / "info" / "exclude", "")
        for n in range(len(parts)):
            rules = rules.below(top.joinpath(*parts[:n], ".gitignore"), "".join(f"{part}/" for part in parts[:n]))
        self._top_rules = rules

    def folders(self) -> Iterator[Folder]:
        """Every folder that is not left out, with the files that are not."""
        yield from self._walk("", self._top_rules, ())

    def stamp(self, path: str) -> Stamp | None:
        """The stamp of one file, or None when it is not there or left out."""
        rules, folder = self._top_rules, ""
        *above, _name = path.split("/")
        for part in above:
            rules = rules.below(self._root / folder / ".gitignore", self._above + folder)
            folder = f"{folder}{part}/"
            is_made = any((self._root / folder / mark).exists() for mark in TOOL_MARKS)
            if part in SKIPPED_FOLDERS or is_made or self._leaves_out(rules, folder):
                return None
        rules = rules.below(self._root / folder / ".gitignore", self._above + folder)
        if self._leaves_out(rules, path):
            return None
        try:
            file = self._root / path
            stat = file.stat()
            return Stamp(stat.st_mtime_ns, stat.st_size) if file.is_file() and not file.is_symlink() else None
        except (OSError, ValueError):
            return None

    def _leaves_out(self, rules: _Rules, path: str) -> bool:
        return self._excluded.match_file(path) or rules.ignores(self._above + path)

    def _walk(self, folder: str, rules: _Rules, above: tuple[tuple[int, int], ...]) -> Iterator[Folder]:
        prefix = f"{folder}/" if folder else ""
        try:
            stat = (self._root / folder).stat()
            with os.scandir(self._root / folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:  # gone, or not ours to read
            return
        here = (stat.st_dev, stat.st_ino)
        if here in above or len(above) > MAX_DEPTH or (folder and any(entry.name in TOOL_MARKS for entry in entries)):
            return
        rules = rules.below(self._root / folder / ".gitignore", self._above + prefix)
        files, inside = {}, []
        for entry in entries:
            path = prefix + entry.name
            try:
                path.encode()
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in SKIPPED_FOLDERS and not self._leaves_out(rules, path + "/"):
                        inside.append(path)
                elif entry.is_file(follow_symlinks=False) and not self._leaves_out(rules, path):
                    stat = entry.stat(follow_symlinks=False)
                    files[entry.name] = Stamp(stat.st_mtime_ns, stat.st_size)
            except (OSError, UnicodeEncodeError):  # gone; or a name that is no text
                continue
        yield Folder(folder, files)
        for path in inside:
            yield from self._walk(path, rules, (*above, here))

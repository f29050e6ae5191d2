"""Which words of a file name what only other files of the project define.

Goes by the files' outlines and by how words look, not by what the context index makes of them: what is measured
should not choose its own questions.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from lsp_server.context.languages import Facts, facts, readings
from lsp_server.syntax.definitions import Outline, has_outline, outline_of_either
from lsp_server.syntax.languages import Language

MOST_DEFINERS = 3  # what more files define is nobody's in particular
MIN_CHARS = 3

_WORD = re.compile(r"[^\W\d]\w*")
_JOINTS = (".", "->", "::")
_COMPOUND = re.compile(r"[^\W_]_+[^\W_]|[a-z][A-Z]")
_DISTINCT = re.compile(rf"{_COMPOUND.pattern}|^[A-Z]")  # seldom a local name


class Use(NamedTuple):
    """A name and where it stands."""

    name: str
    offset: int


@dataclass(frozen=True)
class _File:
    """What one file defines, imports and says."""

    path: str
    facts: Facts
    outline: Outline
    words: frozenset[str]

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @functools.cached_property
    def top_level(self) -> frozenset[str]:
        """The names that it defines at its top level."""
        return frozenset(row.name for row in self.outline.definitions if not row.parent)

    @functools.cached_property
    def distinct(self) -> frozenset[str]:
        """Those of them that hardly mean anything else."""
        return frozenset(filter(_DISTINCT.search, self.top_level))

    @functools.cached_property
    def imported(self) -> frozenset[str]:
        """Names that its imports bring, or spell."""
        here = (name for found in self.outline.imports for _there, name in found.names)
        return frozenset(here).union(*(_WORD.findall(found.module) for found in self.outline.imports))

    @functools.cached_property
    def takes_all(self) -> bool:
        """Whether it imports everything from somewhere."""
        return any(("*", "*") in found.names for found in self.outline.imports)


class Symbols:
    """What the files of one project define."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self._definers: dict[tuple[tuple[str, ...], str], set[str]] = {}
        self._of_folder: dict[str, set[str]] = {}

    def add(self, path: str, text: str, language: Language) -> None:
        """Read a file; of one in a language without outlines nothing is known."""
        if not has_outline(language):
            return
        outline = outline_of_either(text, readings(language), lambda: None)
        file = self._files[path] = _File(path, facts(language), outline, frozenset(_WORD.findall(text)))
        self._of_folder.setdefault(file.folder, set()).update(file.distinct)
        for row in outline.definitions:
            self._definers.setdefault((file.facts.names, row.name), set()).add(path)

    def uses(self, path: str, text: str) -> list[Use]:
        """Every use, in file order, of a name that one to three other files define and this one does not."""
        return list(self._uses(self._files[path], text)) if path in self._files else []

    def definitions(self, path: str, name: str) -> list[tuple[str, int]]:
        """Where other files define what a file may mean by a name: (path, first line) of each definition."""
        paths = self._definers.get((self._files[path].facts.names, name), set()) - {path}
        return [
            (other, row.start)
            for other in sorted(paths)
            for row in self._files[other].outline.definitions
            if row.name == name
        ]

    def _uses(self, file: _File, text: str) -> Iterator[Use]:
        theirs = {name: definers for name in file.words if (definers := self._only_theirs(file, name))}
        for match in _WORD.finditer(text):
            definers = theirs.get(match[0], [])
            if definers and self._is_meant(file, match[0], definers, text.endswith(_JOINTS, 0, match.start())):
                yield Use(match[0], match.start())

    def _only_theirs(self, file: _File, name: str) -> list[_File]:
        paths = self._definers.get((file.facts.names, name), set())
        is_theirs = len(name) >= MIN_CHARS and file.path not in paths and len(paths) <= MOST_DEFINERS
        return [self._files[path] for path in paths] if is_theirs else []

    def _is_meant(self, file: _File, name: str, definers: list[_File], is_member: bool) -> bool:
        """Whether a word is likely to name what those files define, and not something of the same name.

        A member's file has to say something else of its definer as well: `to_string` may be anybody's.
        """
        if name in file.imported:
            return True
        if not is_member:
            is_beside = file.facts.shares_folder and any(it.folder == file.folder for it in definers)
            return bool(_DISTINCT.search(name)) and (is_beside or file.takes_all)
        said = (self._of_folder[it.folder] if it.facts.shares_folder else it.distinct for it in definers)
        is_telling = bool(_COMPOUND.search(name)) or any(name in it.distinct for it in definers)
        return is_telling and any((file.words & names) - {name} for names in said)

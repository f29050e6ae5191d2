"""What a name means in a file: its own, what it imports, what its folder shares, what few other files define."""

from __future__ import annotations

import functools
import re
from typing import Literal, NamedTuple

from lsp_server.context.imports import targets
from lsp_server.context.languages import facts
from lsp_server.context.workspace import Workspace, nearest
from lsp_server.syntax.definitions import Definition, Import, Outline
from lsp_server.syntax.languages import Language

MOST_NAMESAKES = 3  # a name that more files define means none of them
MOST_STEPS = 3  # of a definition imported through other files

How = Literal["here", "import", "folder", "open", "anywhere"]

_WORD = re.compile(r"[^\W\d]\w*")


class Meaning(NamedTuple):
    """A definition, and how it was found."""

    path: str
    definition: Definition
    how: How


class Scopes:
    """The scopes of a workspace's files, each made when it is asked for."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._scopes: dict[str, Scope] = {}
        self._members: dict[str, dict[str, list[tuple[str, Definition]]]] = {}

    def of(self, path: str) -> Scope:
        """The scope of a file."""
        if path not in self._scopes:
            self._scopes[path] = Scope(path, self)
        return self._scopes[path]

    def members_in(self, folder: str) -> dict[str, list[tuple[str, Definition]]]:
        """What the files of a folder define as members, (path, definition), by what they are members of."""
        if folder not in self._members:
            members = self._members[folder] = {}
            for path in self.workspace.in_folder(folder):
                for row in self.of(path).outline.definitions:
                    members.setdefault(row.parent, []).append((path, row))
        return self._members[folder]


class Scope:
    """The names of one file."""

    def __init__(self, path: str, scopes: Scopes) -> None:
        self.path, self._scopes, self._workspace = path, scopes, scopes.workspace
        self.language = scopes.workspace.language(path)
        self.outline = scopes.workspace.outline(path) or Outline()
        self._facts = facts(self.language) if self.language else None
        self._found: dict[tuple[str, int], list[Meaning]] = {}
        self._members: dict[tuple[Meaning, int], list[Meaning]] = {}

    @functools.cached_property
    def imported(self) -> dict[str, list[tuple[str, str]]]:
        """By name here: where from, as (path, name there); "" there is the file itself, as a module."""
        names: dict[str, list[tuple[str, str]]] = {}
        for found in self.outline.imports:
            for target in targets(found, self.path, self._facts, self._workspace) if self._facts else ():
                for name, here in target.names:
                    names.setdefault(here, []).append((target.path, name))
        return names

    @functools.cached_property
    def imported_paths(self) -> list[str]:
        """Every file that is imported, in the imports' order."""
        return list(dict.fromkeys(path for places in self.imported.values() for path, _name in places))

    def own(self, name: str) -> list[Definition]:
        """Its top-level definitions of a name."""
        return self._top_level.get(name, [])

    @functools.cached_property
    def _top_level(self) -> dict[str, list[Definition]]:
        modules = {row.name for row in self.outline.definitions if row.kind == "module"}
        names: dict[str, list[Definition]] = {}
        for row in self.outline.definitions:
            if row.kind != "extension" and (not row.parent or row.owner in modules):
                names.setdefault(row.name, []).append(row)
        return names

    @functools.cached_property
    def _as_member(self) -> dict[str, list[Definition]]:
        names: dict[str, list[Definition]] = {}
        for row in self.outline.definitions:
            if row.parent:
                names.setdefault(row.name, []).append(row)
        return names

    def find(self, name: str, steps: int = MOST_STEPS) -> list[Meaning]:
        """What a name means here, as the language has it."""
        if (name, steps) not in self._found:
            self._found[name, steps] = self._find(name, steps)
        return self._found[name, steps]

    def _find(self, name: str, steps: int) -> list[Meaning]:
        if own := self.own(name):
            return [Meaning(self.path, row, "here") for row in own]
        found = [
            meaning
            for path, there in [*self.imported.get(name, ()), *((path, name) for path in self._starred)]
            for meaning in self._scopes.of(path).exported(there or name, steps)
        ]
        if not found and self._facts and self._facts.shares_folder:
            folder = self.path.rpartition("/")[0]
            beside = [path for path in self._workspace.defining(name) if path.rpartition("/")[0] == folder]
            found = [Meaning(path, row, "folder") for path in beside for row in self._scopes.of(path).own(name)]
        return list(dict.fromkeys(found))

    @functools.cached_property
    def _starred(self) -> list[str]:
        """Files all of whose names are visible here."""
        return [path for path, there in self.imported.get("*", ()) if there == "*"]

    def at_path(self, module: str) -> list[tuple[str, str]]:
        """Where a path that code spells out leads, as an import of it would: (path, name there)."""
        found = targets(Import(module), self.path, self._facts, self._workspace) if self._facts else []
        return [(target.path, there) for target in found for there, _here in target.names]

    def beside(self) -> list[Meaning]:
        """What the other files of its folder define, where the language shares a folder's names."""
        if not (self._facts and self._facts.shares_folder):
            return []
        paths = self._workspace.in_folder(self.path.rpartition("/")[0])
        them = [self._scopes.of(path) for path in paths if path != self.path]
        return [Meaning(it.path, row, "folder") for it in them for rows in it._top_level.values() for row in rows]

    def in_module(self, alias: str, name: str) -> list[Meaning]:
        """What `alias.name` means when `alias` is an imported file, package or namespace."""
        places = [path for path, there in self.imported.get(alias, ()) if there == ""]
        return [meaning for path in places for meaning in self._scopes.of(path).exported(name, MOST_STEPS)]

    def exported(self, name: str, steps: int) -> list[Meaning]:
        """What another file gets when it imports a name from this one."""
        if name == "default" and self._facts and self._facts.default_export:
            mark = self._facts.default_export
            rows = [row for row in self.outline.definitions if not row.parent]
            default = [row for row in rows if mark in row.skeleton] or rows[:1]
            return [Meaning(self.path, row, "import") for row in default]
        if steps == 0:
            return []
        if self._facts and self._facts.shares_folder:  # such languages do not pass on what they import
            found = [Meaning(self.path, row, "import") for row in self.own(name)]
        else:
            found = self.find(name, steps - 1)
        if not found:  # a member that is imported by itself, as Java can
            found = [Meaning(self.path, row, "import") for row in self._as_member.get(name, ())]
        return [Meaning(path, row, "import") for path, row, _how in found]

    def anywhere(self, name: str, is_member: bool = False) -> list[Meaning]:
        """The definitions of a name in files that need not be imported; none when too many define it."""
        paths = self._workspace.defining(name, is_member)
        paths = [path for path in paths if path != self.path and self._is_related(path)]
        if len(paths) > MOST_NAMESAKES:
            return []
        found = []
        for path in nearest(paths, self.path):
            how: How = "open" if path in self._workspace.documents else "anywhere"
            rows = self._scopes.of(path).outline.definitions
            found += [Meaning(path, row, how) for row in rows if row.name == name and row.kind != "field"]
        return [meaning for meaning in found if bool(meaning.definition.parent) == is_member or not is_member]

    def _is_related(self, path: str) -> bool:
        other = self._workspace.language(path)
        return bool(other and self.language) and _family(other) == _family(self.language)

    def types(self, text: str, steps: int = 2) -> list[Meaning]:
        """The classes that a written type names, `Optional[models.Client]`, or that a call of it gives."""
        found: list[Meaning] = []
        words = _WORD.findall(text)
        for before, word in zip(["", *words], words, strict=False):
            meanings = self.in_module(before, word) or self.find(word) or self.anywhere(word)
            for meaning in meanings:
                if meaning.definition.kind in ("class", "type"):
                    found.append(meaning)
                elif meaning.definition.kind in ("function", "method") and steps:
                    found += self._scopes.of(meaning.path).types(result(meaning.definition), steps - 1)
        return list(dict.fromkeys(found))

    def members(self, meaning: Meaning, steps: int = MOST_STEPS) -> list[Meaning]:
        """What a class has, its own members first, then those of the classes it names in its header."""
        if (meaning, steps) not in self._members:
            self._members[meaning, steps] = self._members_of(meaning, steps)
        return self._members[meaning, steps]

    def _members_of(self, meaning: Meaning, steps: int) -> list[Meaning]:
        path, row, how = meaning
        qualified = f"{row.parent}.{row.name}" if row.parent else row.name
        names = dict.fromkeys((qualified, row.name))
        own = [(path, member) for member in self._scopes.of(path).outline.definitions if member.parent in names]
        if self._facts and self._facts.shares_folder:
            beside = self._scopes.members_in(path.rpartition("/")[0])
            own += [found for name in names for found in beside.get(name, ()) if found[0] != path]
        found = [Meaning(other, member, how) for other, member in own]
        if steps:
            scope = self._scopes.of(path)
            for base in _WORD.findall(row.signature):
                for inherited in scope.find(base) if base != row.name else ():
                    if inherited.definition.kind == "class":
                        found += scope.members(inherited, steps - 1)
        return list(dict.fromkeys(found))


@functools.cache
def _family(language: Language) -> tuple[str, ...]:
    """Languages that can name one another's definitions have one family."""
    return facts(language).names


def result(row: Definition) -> str:
    """What a function's header says besides its name and what is in its outermost brackets: its result's type."""
    before, _name, after = row.signature.partition(row.name)
    depth = 0
    for at, char in enumerate(after):
        depth += (char in "([") - (char in ")]")
        if char == ")" and depth == 0:
            return f"{before.rpartition(')')[2]} {after[at + 1 :]}"
    return before

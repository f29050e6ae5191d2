"""What context needs to know of a language beyond its syntax: rows of `languages.json`, beside this file.

A language without a row is indexed if it has queries, and its imports lead nowhere.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

import msgspec

from lsp_server.errors import KrukError
from lsp_server.syntax.languages import Language, languages

Strategy = Literal["python-package", "relative-file", "go-module", "rust-module", "java-package", "include", "none"]


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row, for several languages that import one another.

    Attributes:
        strategy: How an import is resolved, see `imports.py`.
        file_types: Endings that an import may leave out or mean, the likeliest first.
        folder_file: The file without ending that stands for its folder.
        project_files: Files that say where imports lead.
        shares_folder: Whether a file sees what others in its folder define, without an import.
        self_words: What a method calls the object it belongs to.
        typings: Regular expressions that find the type of a `{name}`, as the group `type`.
        inline_paths: What joins the parts of a path that code may spell out without an import.
        default_export: What marks a file's default export in its skeleton.
        also_reads: A language whose files may be written in another one (C headers).
    """

    names: tuple[str, ...]
    strategy: Strategy = "none"
    file_types: tuple[str, ...] = ()
    folder_file: str = ""
    project_files: tuple[str, ...] = ()
    shares_folder: bool = False
    self_words: tuple[str, ...] = ()
    typings: tuple[str, ...] = ()
    inline_paths: str = ""
    default_export: str = ""
    also_reads: dict[str, str] = {}


@functools.cache
def _rows() -> dict[str, Facts]:
    path = Path(__file__).with_name("languages.json")
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=tuple[Facts, ...])
    except msgspec.DecodeError as error:
        raise KrukError(f"`{path}` is not valid: {error}", "Reinstall Kruk or undo the change") from error
    return {name: row for row in rows for name in row.names}


def facts(language: Language) -> Facts:
    """The row of a language, or an empty one for it alone."""
    return _rows().get(language.name) or Facts((language.name,))


def readings(language: Language) -> tuple[Language, ...]:
    """The languages that a file may be written in, the likeliest first."""
    other = facts(language).also_reads.get(language.name)
    return (language, *(row for row in languages() if row.name == other))


@functools.cache
def project_files() -> frozenset[str]:
    """Names of all files that say where imports lead."""
    return frozenset(name for row in _rows().values() for name in row.project_files)

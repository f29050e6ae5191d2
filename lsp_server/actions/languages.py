"""What actions need to know of a language beyond its syntax: rows of `languages.json`, beside this file.

A language without a row has no doc comments and no tests; every other action works.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

import msgspec

from lsp_server.errors import KrukError
from lsp_server.syntax.languages import Language


class Comment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a definition is documented.

    Attributes:
        place: Above the definition, or inside, as the first thing in its body.
        open, close: What stands before and behind all of it; where there is an `open`, each on a line of its own.
        line: What stands before each line.
        is_string: It is a string literal: backslashes are escaped in it.
        begins_with_name: By convention its first word is the name.
    """

    place: Literal["above", "inside"]
    open: str = ""
    line: str = ""
    close: str = ""
    is_string: bool = False
    begins_with_name: bool = False


class Runner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What tests import when a `file` of the project holds the `mark`, a regular expression."""

    file: str = ""
    mark: str = ""
    imports: str = msgspec.field(default="", name="import")


class OldStyle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How imports are written in files that hold the `mark`: pairs of pattern and replacement."""

    mark: str
    replace: tuple[tuple[str, str], ...]


class Again(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a file imports what another one does: `{module}`, of it `{there}`, as `{here}`."""

    module: str = ""
    module_as: str = ""
    name: str = ""
    name_as: str = ""


class Tests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where tests go and how their file begins.

    Attributes:
        files: Where a project may keep them, the usual place first, below the workspace's folder. `{dir}`, `{stem}`,
            `{ext}` are the source file's, `{test_dir}` is its folder with `main` replaced by `test`.
        imports: How the file begins, with `{name}`, `{module}`, `{package}`.
        module: What `{module}` is: a path from the tests to the source, or Python's dotted name.
        drops: Endings that `{module}` as a path does without.
        package: A regular expression whose group finds `{package}` in the source.
        head: How the first test begins; `{file_stem}` is the test file's. It ends where a token does: not in a space.
        each, tail: What each test begins with at the start of a line, and what stands behind the last one.
        also: Imports that are needed where a regular expression is found in the tests; behind a package's line.
        again: How what the source imports, and the tests use as well, is imported.
        first_import: Finds the line of an existing test file above which imports are added; none: nothing is added.
        is_closed: Whether nothing can be added behind the end of such a file; another one is made then.
    """

    files: tuple[str, ...]
    head: str
    each: str
    tail: str = ""
    imports: str = msgspec.field(default="", name="import")
    runners: tuple[Runner, ...] = ()
    old_style: OldStyle | None = None
    module: Literal["", "path", "python"] = ""
    drops: tuple[str, ...] = ()
    package: str = ""
    also: dict[str, str] = {}
    again: Again = Again()
    first_import: str = ""
    is_closed: bool = False


class Habits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row, for several languages with the same habits."""

    names: tuple[str, ...]
    comment: Comment | None = None
    tests: Tests | None = None


@functools.cache
def _rows() -> dict[str, Habits]:
    path = Path(__file__).with_name("languages.json")
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=tuple[Habits, ...])
    except msgspec.DecodeError as error:
        raise KrukError(f"`{path}` is not valid: {error}", "Reinstall Kruk or undo the change") from error
    return {name: row for row in rows for name in row.names}


def habits(language: Language | None) -> Habits:
    """The row of a language, or an empty one."""
    name = language.name if language else ""
    return _rows().get(name) or Habits((name,))

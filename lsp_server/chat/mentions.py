"""Mentions in a question: `@src/a.py:10-20`, `@file:"my file.py"`, `@symbol:name`, `@name`, `@selection`,
`@diagnostics`, `@diff`. What they stand for is looked up; what cannot be is said, never left out in silence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lsp_server.chat.diff import diff
from lsp_server.chat.excerpt import Excerpt
from lsp_server.chat.markdown import without_code
from lsp_server.completion.refusal import excluded
from lsp_server.context.reading import MAX_FILE_BYTES, read_text
from lsp_server.context.workspace import Workspace
from lsp_server.errors import KrukError
from lsp_server.text import unix

MOST_NAMESAKES = 3

_MENTION = re.compile(
    r"""(?<![\w@/.`\\])@(?:(file|symbol):)?(?:"([^"\n]+)"|([^\s`"'<>(){}\[\],;]+))(:\d+(?:-\d+)?)?"""
)
_RANGE = re.compile(r":(\d+)(?:-(\d+))?\Z")


@dataclass(frozen=True)
class Folder:
    """A folder whose files may be shown."""

    path: Path
    workspace: Workspace


@dataclass(frozen=True)
class Sources:
    """Where mentions are looked up. `selection` and `diagnostics`: what the editor has told, or why not."""

    folders: Sequence[Folder] = ()
    exclude_globs: tuple[str, ...] = ()
    selection: Excerpt | str = "there is no selection here"
    diagnostics: Excerpt | str = "there are no diagnostics here"


@dataclass
class Resolved:
    """What the mentions of one question stand for, and a sentence for each thing that is not shown."""

    excerpts: list[Excerpt] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Mention:
    """One mention. `kind` is "file", "symbol" or "": whatever there is of that name. Lines count from 1."""

    text: str
    kind: str
    name: str
    lines: tuple[int, int] | None


def mentions(question: str) -> list[Mention]:
    """The mentions in a question, each once; what is quoted as code has none."""
    found: dict[str, Mention] = {}
    for match in _MENTION.finditer(without_code(unix(question))):
        kind, quoted, plain, lines = match.groups()
        name = quoted or plain.rstrip(".,;:!?")
        if not quoted and (ends := _RANGE.search(name)):
            name, lines = name[: ends.start()], ends[0]
        span = _RANGE.match(lines) if lines else None
        if name:
            text = match[0] if quoted else match[0].rstrip(".,;:!?")
            numbers = (int(span[1]), int(span[2] or span[1])) if span else None
            found.setdefault(text, Mention(text, kind or "", name, numbers))
    return list(found.values())


def resolve(question: str, sources: Sources) -> Resolved:
    """Look up every mention. Reads files and runs git: not for the event loop."""
    resolved = Resolved()
    for mention in mentions(question):
        try:
            _resolve(mention, sources, resolved)
        except KrukError as error:
            resolved.problems.append(f"`{mention.text}`: {error}".rstrip(".") + ".")
    return resolved


def file_excerpt(mention: str, path: Path, title: str, lines: tuple[int, int] | None, language: str) -> Excerpt:
    """An excerpt of a file on disk. Raises KrukError."""
    text = read_text(path)
    if text is None:
        raise KrukError(f"`{title}` is not shown: not a text file, or larger than {MAX_FILE_BYTES:,} bytes")
    return _excerpt(mention, title, unix(text).split("\n"), lines, language)


def _resolve(mention: Mention, sources: Sources, resolved: Resolved) -> None:
    if not mention.kind and mention.name in ("selection", "diagnostics"):
        told = sources.selection if mention.name == "selection" else sources.diagnostics
        if isinstance(told, str):
            raise KrukError(told)
        resolved.excerpts.append(told)
    elif not mention.kind and mention.name == "diff":
        _resolve_diff(mention, sources, resolved)
    elif mention.kind == "symbol":
        resolved.excerpts += _symbols(mention, sources) or _nothing("there is no definition of that name")
    elif found := _files(mention, sources):
        resolved.excerpts += found
    elif mention.kind == "file" or "/" in mention.name:
        _nothing("there is no such file in the workspace")
    else:
        resolved.excerpts += _symbols(mention, sources) or _nothing("there is no file and no definition of that name")


def _nothing(why: str) -> list[Excerpt]:
    raise KrukError(why)


def _resolve_diff(mention: Mention, sources: Sources, resolved: Resolved) -> None:
    if not sources.folders:
        raise KrukError("no folder is open")
    for folder in sources.folders:
        text, left_out = diff(folder.path, lambda name: bool(excluded(name, sources.exclude_globs)))
        if left_out:
            names = ", ".join(f"`{name}`" for name in left_out[:5])
            resolved.problems.append(f"`{mention.text}`: without {names}, which {_setting()} or the number excludes.")
        if text:
            resolved.excerpts.append(
                Excerpt(mention.text, f"git diff of {folder.path.name}", text.rstrip("\n"), "diff")
            )
        elif not left_out:
            resolved.problems.append(f"`{mention.text}`: nothing has changed in `{folder.path.name}`.")


def _setting() -> str:
    return "`kruk.completion.excludeGlobs`"


def _files(mention: Mention, sources: Sources) -> list[Excerpt]:
    """The file of that path, or the one whose path ends so; none when there is none."""
    name = mention.name.replace("\\", "/").removeprefix("./")
    places = [(folder, path) for folder in sources.folders if (path := _path_in(folder, name))]
    if not places:
        places = [(folder, path) for folder in sources.folders for path in folder.workspace.ending(name)]
    if len(places) > 1:
        paths = ", ".join(f"`{path}`" for _, path in places[:5])
        raise KrukError(f"several files are called so: {paths}")
    for folder, path in places:
        _refuse_excluded(path, sources)
        language = folder.workspace.language(path)
        document = folder.workspace.documents.get(path)
        names = mention.text, path, mention.lines, language.name if language else ""
        if document:
            return [_excerpt(names[0], path, unix(document.text).split("\n"), *names[2:])]
        return [file_excerpt(names[0], folder.path / path, *names[1:])]
    return []


def _path_in(folder: Folder, name: str) -> str | None:
    """The path of a file within a folder, if it is there; links that lead out of it are not followed."""
    if name in folder.workspace.documents:
        return name
    try:
        root = folder.path.resolve()
        file = (root / name).resolve()
        return file.relative_to(root).as_posix() if file.is_file() and file.is_relative_to(root) else None
    except (OSError, ValueError):
        return None


def _refuse_excluded(path: str, sources: Sources) -> None:
    if glob := excluded(path, sources.exclude_globs):
        raise KrukError(f"`{path}` is never shown: `{glob}` in {_setting()} excludes it")


def _symbols(mention: Mention, sources: Sources) -> list[Excerpt]:
    """The definitions of a name, or of `Owner.name`; a few when there are several."""
    owner, _, name = mention.name.rpartition(".")
    found, secret = [], ""
    for folder in sources.folders:
        workspace = folder.workspace
        for path in dict.fromkeys([*workspace.defining(name), *workspace.defining(name, is_member=True)]):
            outline = workspace.outline(path)
            if not outline or excluded(path, sources.exclude_globs):
                secret = path if outline else secret
                continue
            language = workspace.language(path)
            for row in outline.definitions:
                if row.name == name and (not owner or row.parent.rpartition(".")[2] == owner.rpartition(".")[2]):
                    lines = (row.start + 1, row.end)
                    names = mention.text, path, workspace.lines(path), lines, language.name if language else ""
                    found.append(_excerpt(*names))
    if not found and secret:
        _refuse_excluded(secret, sources)
    return found[:MOST_NAMESAKES]


def _excerpt(mention: str, title: str, lines: list[str], span: tuple[int, int] | None, language: str) -> Excerpt:
    first, last = span or (1, len(lines))
    if not 1 <= first <= min(last, len(lines)):
        raise KrukError(f"`{title}` has {len(lines)} lines")
    return Excerpt(mention, title, "\n".join(lines[first - 1 : last]).rstrip("\n"), language, first)

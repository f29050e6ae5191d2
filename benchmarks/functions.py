"""Functions in real source files, chosen by a seed. Knows nothing of models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lsp_server.actions.contract import contract_of
from lsp_server.actions.target import target_of
from lsp_server.errors import KrukError
from lsp_server.evaluation.holes import MAX_FILE_BYTES, digest, is_fit
from lsp_server.syntax.definitions import outline
from lsp_server.syntax.languages import Language, language_for
from lsp_server.text import Document

MIN_LINES = 3
PER_FILE = 2


@dataclass(frozen=True)
class Function:
    """One function: `offset` is that of its first line's code in `text`."""

    name: str
    path: Path
    language: str
    text: str
    offset: int


def functions(tree: Path, language_ids: Sequence[str], n_each: int, seed: str, max_lines: int = 40) -> list[Function]:
    """Choose `n_each` undocumented functions of each language, PER_FILE of a file at most.

    Raises KrukError when there are fewer.
    """
    found: list[Function] = []
    paths = {it: f"{seed}:{it.relative_to(tree).as_posix()}" for it in tree.rglob("*") if it.is_file()}
    order = sorted(paths, key=lambda it: digest(paths[it]))
    for language_id in language_ids:
        language = language_for(language_id)
        if language is None:
            raise KrukError(f"There is no language `{language_id}`")
        chosen: list[Function] = []
        for path in order:
            if len(chosen) >= n_each:
                break
            if path.suffix.removeprefix(".") in language.file_types and path.stat().st_size <= MAX_FILE_BYTES:
                chosen += _functions_in(path, tree, language, language_id, max_lines)[:PER_FILE]
        if len(chosen) < n_each:
            raise KrukError(f"`{tree}` has {len(chosen)} undocumented functions in `{language_id}`, not {n_each}")
        found += chosen[:n_each]
    return found


def _functions_in(path: Path, tree: Path, language: Language, language_id: str, max_lines: int) -> list[Function]:
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    if not is_fit(text):
        return []
    document = Document(path.as_uri(), language_id, 1, text)
    found = []
    for definition in outline(text, language).definitions:
        n_lines = definition.end - definition.start
        if definition.kind not in ("function", "method") or not MIN_LINES <= n_lines <= max_lines:
            continue
        start = document.line_starts[definition.start]
        line = text[start:].split("\n", 1)[0]
        offset = start + len(line) - len(line.lstrip())
        target = target_of(document, language, offset, offset)
        if target.is_definition and target.name == definition.name and not contract_of(target):
            name = f"{path.relative_to(tree).as_posix()}:{definition.start + 1}"
            found.append(Function(name, path, language_id, text, offset))
    return found

"""The files of a workspace as they are now: unsaved documents over the index, and what must not be seen taken out."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from lsp_server.context.index import Index
from lsp_server.context.languages import readings
from lsp_server.context.reading import read_text
from lsp_server.context.store import names_of
from lsp_server.syntax.definitions import Outline, has_outline, outline_of_either
from lsp_server.syntax.languages import Language, language_for
from lsp_server.text import Document, unix

MAX_DOCUMENT_CHARS = 500_000  # a longer one is not read at each choice


class Workspace:
    """A view for one choice of context; made anew for each, which costs nothing.

    Paths are relative to the index's root, with `/`. `masked` paths do not exist in it.
    """

    def __init__(
        self, index: Index | None, documents: Mapping[str, Document] | None = None, masked: Collection[str] = ()
    ) -> None:
        self._index, self._masked = index, frozenset(masked)
        self.documents = {path: document for path, document in (documents or {}).items() if path not in self._masked}
        self._outlines: dict[str, Outline | None] = {}
        self._names: dict[str, set[tuple[str, bool]]] = {}

    def with_document(self, path: str, document: Document) -> Workspace:
        """The same files and one more document, which is there even if its file is masked."""
        return Workspace(self._index, {**self.documents, path: document}, self._masked - {path})

    def language(self, path: str) -> Language | None:
        """The language of a file, as its editor says if it is open."""
        document = self.documents.get(path)
        return language_for(document.language_id if document else "", path)

    def outline(self, path: str) -> Outline | None:
        """What a file defines and imports; None when it is not known."""
        if path not in self._outlines:
            self._outlines[path] = self._outline(path)
        return self._outlines[path]

    def lines(self, path: str) -> list[str]:
        """The lines of a file, without line ends; none when it cannot be read."""
        if document := self.documents.get(path):
            return unix(document.text).split("\n")
        if path in self._masked or not self._index:
            return []
        file = self._index.root / path
        try:
            status = file.stat()
        except OSError:
            return []
        return _lines(file, status.st_mtime_ns, status.st_size)

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return path not in self._masked and (path in self.documents or bool(self._index and self._index.has(path)))

    def ending(self, suffix: str) -> list[str]:
        """Files whose path ends with whole parts `suffix`."""
        found = self._index.ending(suffix) if self._index else []
        return self._seen(found, (path for path in self.documents if f"/{path}".endswith(f"/{suffix}")))

    def in_folder(self, folder: str) -> list[str]:
        """Files directly in a folder."""
        found = self._index.in_folder(folder) if self._index else []
        return self._seen(found, (path for path in self.documents if path.rpartition("/")[0] == folder))

    def defining(self, name: str, is_member: bool = False) -> list[str]:
        """Files that define a name, at the top level or as a member of a class."""
        found = self._index.defining(name, is_member) if self._index else []
        found = [path for path in found if path not in self.documents or self._defines(path, name, is_member)]
        return self._seen(found, (path for path in self.documents if self._defines(path, name, is_member)))

    def _defines(self, path: str, name: str, is_member: bool) -> bool:
        if path not in self._names:
            self._names[path] = names_of(self.outline(path) or Outline())
        return (name, is_member) in self._names[path]

    def _outline(self, path: str) -> Outline | None:
        if document := self.documents.get(path):
            language = self.language(path)
            is_read = language and has_outline(language) and len(document.text) <= MAX_DOCUMENT_CHARS
            return outline_of(unix(document.text), language) if language and is_read else None
        return self._index.outline(path) if self._index and path not in self._masked else None

    def _seen(self, known: Iterable[str], opened: Iterable[str]) -> list[str]:
        return sorted({*known, *opened} - self._masked)


@functools.lru_cache(maxsize=32)
def outline_of(text: str, language: Language) -> Outline:
    """The outline of a text; the last few are kept."""
    return outline_of_either(text, readings(language), lambda: None)


@functools.lru_cache(maxsize=64)
def _lines(file: Path, _mtime_ns: int, _size: int) -> list[str]:
    return unix(read_text(file) or "").split("\n")


def nearest(paths: Collection[str], to: str) -> list[str]:
    """Order paths by how much of their beginning they share with `to`, then by length."""
    parts = to.split("/")

    def distance(path: str) -> tuple[int, int, str]:
        shared = 0
        for ours, theirs in zip(parts, path.split("/"), strict=False):
            if ours != theirs:
                break
            shared += 1
        return -shared, len(path), path

    return sorted(paths, key=distance)

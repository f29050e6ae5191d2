"""The workspace folders of a session: an index for each, the open documents, and what was edited lately."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lsp_server.context.index import Index
from lsp_server.context.relevance import Chosen, Place, choose
from lsp_server.context.workspace import Workspace
from lsp_server.text import Document

N_EDITS = 6
EDIT_LINES = 3  # above and below an edited line
SAME_EDIT_LINES = 8  # an edit so near to the one before is the same
PATIENCE_S = 0.5  # for the index, when somebody waits


@dataclass
class Project:
    """One folder. `documents`: the open ones, by path relative to it."""

    name: str
    index: Index
    documents: dict[str, Document] = field(default_factory=dict)
    edits: deque[tuple[str, int]] = field(default_factory=lambda: deque(maxlen=N_EDITS))  # (path, line)
    _patience_s: float = PATIENCE_S

    def choose(self, place: Place, budget: int, before: Chosen | None) -> Chosen:
        """Choose what the model should see for a place, within `budget` tokens. Some 15 ms: not for the loop."""
        if before is None and not self.index.wait(self._patience_s):
            self._patience_s = 0.0  # it is being made, which takes long: that is not waited for in every file
        return choose(place, Workspace(self.index, dict(self.documents)), budget, before, self._edited(place))

    def edited(self, path: str, line: int) -> None:
        """Hear that a line of an open document was changed."""
        if self.edits and self.edits[-1][0] == path and abs(self.edits[-1][1] - line) <= SAME_EDIT_LINES:
            self.edits[-1] = (path, line)
        else:
            self.edits.append((path, line))

    def _edited(self, place: Place) -> list[tuple[str, str]]:
        """(path, text) of what was edited lately, the newest first; not what is being edited at `place`."""
        here = place.document.line_of(place.offset)
        found = []
        for path, line in reversed(self.edits):
            document = self.documents.get(path)
            if document and not (path == place.path and abs(line - here) <= SAME_EDIT_LINES):
                lines = document.line_starts
                start, end = max(0, line - EDIT_LINES), min(len(lines), line + EDIT_LINES + 1)
                if start < end:
                    found.append((path, document.text[lines[start] : lines[end] if end < len(lines) else None]))
        return found


class Projects:
    """The projects of a session, by the URI of their folder. Changed on the event loop only."""

    def __init__(self) -> None:
        self._by_root: dict[str | None, Project] = {}

    def set_roots(
        self, roots: Mapping[str, Path], exclude_globs: tuple[str, ...], is_busy: Callable[[], bool]
    ) -> None:
        """Open the index of every folder that is new, close that of every one that is gone."""
        for uri in [uri for uri in self._by_root if uri not in roots]:
            self._by_root.pop(uri).index.stop(0.0)
        for uri, path in roots.items():
            if uri not in self._by_root and path.is_dir():
                self._by_root[uri] = Project(path.name, Index(path, exclude_globs, is_busy))
                self._by_root[uri].index.start()

    def stop(self) -> None:
        """Close every index."""
        self.set_roots({}, (), lambda: False)

    def of(self, root: str | None) -> Project | None:
        """The project of a folder's URI."""
        return self._by_root.get(root)

    @property
    def all(self) -> list[Project]:
        """Every project."""
        return list(self._by_root.values())

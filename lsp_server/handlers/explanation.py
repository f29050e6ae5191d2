"""An explanation on its way to the user: a Markdown document that fills while the model speaks.

It is a file in the cache folder, which the editor shows and which then grows by edits. Where an editor shows no
documents, what it hears on its progress token has to do, or else one message at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
from pathlib import Path

from lsp_server import protocol
from lsp_server.chat.markdown import harmless
from lsp_server.errors import KrukError
from lsp_server.handlers.editor import INFO, Editor
from lsp_server.paths import ANSWERS, cache_dir
from lsp_server.text import Document

N_KEPT = 20  # files of earlier explanations

_numbers = itertools.count(1)
log = logging.getLogger(__name__)


class Explanation:
    """One explanation. `hear` and `end` run on the loop."""

    def __init__(self, editor: Editor, title: str) -> None:
        self._editor = editor
        self._title = f"# {harmless(title)}\n\n"
        self._shown = self._wanted = self._title
        self._path: Path | None = None
        self._is_fed_by_edits = False
        self._pushing: asyncio.Task[None] | None = None

    @property
    def n_words(self) -> int:
        """How long it is."""
        return len(self._wanted.split())

    async def open(self) -> None:
        """Show the document with its title, if the editor can."""
        if not self._editor.client.shows_documents:
            return
        try:
            path = _new_file(self._title)
        except OSError as error:
            log.info("no file for an explanation: %s", error)
            return
        if await self._editor.show(path.as_uri()):
            self._path = path
            self._is_fed_by_edits = self._editor.client.applies_edits
        else:
            _remove(path)

    def hear(self, text: str) -> None:
        """Show the next piece, which is harmless already."""
        self._wanted += text
        self._push_soon()

    async def end(self, has_been_heard: bool) -> None:
        """Show what is left. has_been_heard: the client has the text already, on its progress token."""
        self._wanted += "\n"
        if self._path:
            self._push_soon()
            while self._pushing:
                await self._pushing
        elif not has_been_heard:
            self._editor.message(self._wanted.removeprefix(self._title).strip(), INFO)

    def drop(self) -> None:
        """Leave nothing behind: it was cancelled, or there is no answer."""
        if self._pushing:
            self._pushing.cancel()
        if self._path:
            _remove(self._path)

    def _push_soon(self) -> None:
        if self._path and self._pushing is None and self._shown != self._wanted:
            self._pushing = asyncio.ensure_future(self._push(self._path))

    async def _push(self, path: Path) -> None:
        """Bring the document to what it should be; what comes meanwhile goes with the next edit."""
        try:
            while self._shown != self._wanted:
                wanted = self._wanted
                if self._is_fed_by_edits:
                    await self._append(path, wanted)
                if not self._is_fed_by_edits:  # the editor takes up what is on disk
                    with contextlib.suppress(OSError):
                        path.write_text(wanted, encoding="utf-8")
                self._shown = wanted
        finally:
            self._pushing = None

    async def _append(self, path: Path, wanted: str) -> None:
        uri, n = path.as_uri(), len(self._shown)
        end = protocol.lsp_range(Document(uri, "markdown", 0, self._shown), n, n, self._editor.client)
        edit = {"range": end, "newText": wanted[n:]}
        has_versions = self._editor.client.has_document_changes
        document = {"textDocument": {"uri": uri, "version": None}, "edits": [edit]}
        try:
            await self._editor.apply({"documentChanges": [document]} if has_versions else {"changes": {uri: [edit]}})
        except KrukError as error:
            log.info("an explanation is written to its file: %s", error)
            self._is_fed_by_edits = False


def _new_file(text: str) -> Path:
    """A new file that only the user may read; the oldest ones go."""
    folder = cache_dir() / "answers"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in sorted(folder.glob(ANSWERS), key=lambda path: path.stat().st_mtime)[:-N_KEPT]:
        _remove(old)
    while True:
        path = folder / f"explanation-{os.getpid()}-{next(_numbers)}.md"
        with contextlib.suppress(FileExistsError):
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            return path


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()

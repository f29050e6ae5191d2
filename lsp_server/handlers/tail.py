"""Text that grows at the end of a document that is open in the editor, by edits of the version the editor has.

Each edit waits until the editor's text has the one before. When the end is changed by somebody else, or the document
is closed, no more is written and nothing is taken back. Eglot tells of no change while it waits for an answer
(`stands_still`); ALE applies an edit and never says so.
"""

from __future__ import annotations

import asyncio
import re
import time

from lsp_server import protocol
from lsp_server.errors import KrukError
from lsp_server.handlers.editor import Editor
from lsp_server.session import Session
from lsp_server.text import Document, unix

PERIOD_S = 0.1  # between two edits
LOOK_S = 0.01  # between two looks at whether the editor has sent its text
PATIENCE_S = 3.0  # for that text
STILL_S = 0.7  # for that text, before the editor seems to stand still until its command is answered
TRIES = 3  # of an edit that the editor refuses, because its text has changed meanwhile
REFUSED_S = 0.5  # to wait for that change

_BREAKS = re.compile(r"(?:\r\n|\n|\r)*\Z")
_BREAK = re.compile(r"\r\n|\n|\r")


class Moved(KrukError):
    """The end of the document is no longer what was written there."""


class Tail:
    """The end of one document."""

    def __init__(self, session: Session, editor: Editor, uri: str) -> None:
        self._session, self._editor, self._uri = session, editor, uri
        self._written = self._pending = ""
        self._has_pending = asyncio.Event()
        self._is_ended = False
        self.stands_still = asyncio.Event()
        self._task = asyncio.ensure_future(self._run())

    def write(self, text: str) -> None:
        """Add text, with LF, at the end; soon."""
        self._pending += text
        self._has_pending.set()

    def on_failure(self, cancel: asyncio.Task[object] | None) -> None:
        """Cancel a task when no more can be written."""
        self._task.add_done_callback(lambda task: cancel.cancel() if cancel and _failed(task) else None)

    @property
    def failure(self) -> KrukError | None:
        """Why no more is written."""
        error = self._task.exception() if self._task.done() and not self._task.cancelled() else None
        return error if isinstance(error, KrukError) else None

    async def end(self) -> None:
        """Write what is left. Raises KrukError when that is not possible."""
        self._is_ended = True
        self._has_pending.set()
        await asyncio.shield(self._task)

    async def take_back(self) -> None:
        """Remove what was written, if it is still as it was written."""
        self._pending = ""
        try:
            await self.end()
            document = await self._document()
            whole, body = unix(document.text[: self._place(document)[0]]), self._written.rstrip("\n")
            if body and whole.endswith(body):
                begin = _offset_of(document.text, len(whole) - len(body))
                await self._apply(document, begin, len(document.text), "")
        except KrukError:
            return

    async def _run(self) -> None:
        while True:
            await self._has_pending.wait()
            self._has_pending.clear()
            while self._pending:
                text, self._pending = self._pending, ""
                await self._append(text)
                if not self._is_ended:
                    await asyncio.sleep(PERIOD_S)
            if self._is_ended:
                return

    async def _append(self, text: str) -> None:
        for left in reversed(range(TRIES)):
            document = await self._document()
            start, end = self._place(document)
            there = len(_BREAK.findall(document.text[start:end]))
            missing = max(0, len(self._written) - len(self._written.rstrip("\n")) - there)
            new = "\n" * missing + text
            try:
                await self._apply(document, end, end, new.replace("\n", document.newline))
            except KrukError:
                if not left:
                    raise
                await self._change_of(document)
            else:
                self._written += text
                return

    async def _apply(self, document: Document, start: int, end: int, new: str) -> None:
        edit = {"range": protocol.lsp_range(document, start, end, self._editor.client), "newText": new}
        if self._editor.client.has_document_changes:
            identifier = {"uri": self._uri, "version": document.version}
            change: dict[str, object] = {"documentChanges": [{"textDocument": identifier, "edits": [edit]}]}
        else:
            change = {"changes": {self._uri: [edit]}}
        wanted = unix(document.text[:start] + new + document.text[end:]).rstrip("\n")
        applying = asyncio.ensure_future(self._editor.apply(change))
        try:
            while not applying.done():
                there = self._session.documents.get(self._uri)
                if there and there is not document and unix(there.text).rstrip("\n") == wanted:
                    return
                await asyncio.wait([applying], timeout=LOOK_S)
            applying.result()
        finally:
            applying.cancel()

    def _place(self, document: Document) -> tuple[int, int]:
        """Where the text ends that is not line ends, and where the line ends end that were written."""
        start = _BREAKS.search(document.text).start()  # type: ignore[union-attr]  # matches the empty text
        if not self._written:
            return start, len(document.text)
        n_wanted = len(self._written) - len(self._written.rstrip("\n"))
        ends = [start, *(start + found.end() for found in _BREAK.finditer(document.text[start:]))]
        return start, ends[min(n_wanted, len(ends) - 1)]

    async def _document(self) -> Document:
        """The document, once it has what was written."""
        started = time.monotonic()
        while True:
            document = self._session.documents.get(self._uri)
            if document is None:
                raise Moved("The answer stops: its document was closed")
            if unix(document.text).rstrip().endswith(self._written.rstrip()):
                return document
            waited = time.monotonic() - started
            if waited > PATIENCE_S:
                raise Moved("The answer stops: the end of its document was edited")
            if waited > STILL_S:
                self.stands_still.set()
            await asyncio.sleep(LOOK_S)

    async def _change_of(self, document: Document) -> None:
        """Wait for the editor to tell of a change."""
        deadline = time.monotonic() + REFUSED_S
        while self._session.documents.get(self._uri) is document and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_S)


def _failed(task: asyncio.Task[None]) -> bool:
    return not task.cancelled() and task.exception() is not None


def _offset_of(text: str, n_unix: int) -> int:
    """Offset in a text of the place before which it has so many characters when its line ends are LF."""
    at = n_seen = 0
    for found in _BREAK.finditer(text):
        if n_seen + found.start() - at >= n_unix:
            break
        n_seen += found.start() - at + 1
        at = found.end()
        if n_seen == n_unix:
            return at
    return at + n_unix - n_seen

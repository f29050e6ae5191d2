"""Documents and folders: opened, changed, closed. State changes, in order, on the loop."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from lsp_server import protocol
from lsp_server.capabilities import Client
from lsp_server.completion.request import CompletionRequest
from lsp_server.protocol import (
    DidChangeParams,
    DidChangeWatchedFilesParams,
    DidChangeWorkspaceFoldersParams,
    DidMoveCursorParams,
    DidOpenParams,
    DocumentParams,
)
from lsp_server.session import Session
from lsp_server.text import Document

log = logging.getLogger(__name__)


def did_open(session: Session, params: DidOpenParams) -> None:
    """Take over a document's text."""
    item = params.text_document
    root, path = protocol.home_of(item.uri, session.roots)
    session.put(Document(item.uri, item.language_id, item.version, item.text), root, path)


def did_change(session: Session, client: Client, params: DidChangeParams) -> None:
    """Apply the client's edits."""
    document = session.documents.get(params.text_document.uri)
    if document is None:
        log.warning("a change of %s, which is not open, is ignored", params.text_document.uri)
        return
    version = params.text_document.version if params.text_document.version is not None else document.version + 1
    root, path = protocol.home_of(document.uri, session.roots)
    session.put(document.apply(protocol.edits(params.content_changes), version, client.encoding), root, path)
    if params.content_changes and (last := params.content_changes[-1].range):
        session.edited(root, path, last.start.line)


def did_close(session: Session, params: DocumentParams) -> None:
    """Forget a document."""
    session.close(params.text_document.uri)


def did_move_cursor(session: Session, client: Client, params: DidMoveCursorParams) -> None:
    """Make ready for typing at a place."""
    if document := session.documents.get(params.text_document.uri):
        at = protocol.offset(document, params.position, client)
        root, path = protocol.home_of(document.uri, session.roots)
        session.warm(CompletionRequest(document, at, path, "ahead", root))


def did_change_folders(session: Session, params: DidChangeWorkspaceFoldersParams) -> None:
    """Take over the workspace's folders."""
    removed = {folder.uri for folder in params.event.removed}
    kept = [uri for uri in session.roots if uri not in removed]
    set_roots(session, [*kept, *(folder.uri for folder in params.event.added)])


def set_roots(session: Session, roots: Sequence[str]) -> None:
    """Take over the workspace's folders, and index them."""
    folders = {root: protocol.path_of(root) for root in roots}
    session.set_roots({root: Path(path) for root, path in folders.items() if path})
    for document in session.documents.values():
        session.put(document, *protocol.home_of(document.uri, session.roots))


def did_save(session: Session, params: DocumentParams) -> None:
    """Look at a file that was written."""
    session.changed_on_disk(*protocol.home_of(params.text_document.uri, session.roots))


def did_change_files(session: Session, params: DidChangeWatchedFilesParams) -> None:
    """Look at files that somebody else has changed."""
    for change in params.changes:
        session.changed_on_disk(*protocol.home_of(change.uri, session.roots))

"""Documents and folders: opened, changed, closed. State changes, in order, on the loop."""

from __future__ import annotations

import logging

from lsp_server import protocol
from lsp_server.completion.request import CompletionRequest
from lsp_server.protocol import (
    Client,
    DidChangeParams,
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
    session.put(Document(item.uri, item.language_id, item.version, item.text))


def did_change(session: Session, client: Client, params: DidChangeParams) -> None:
    """Apply the client's edits."""
    document = session.documents.get(params.text_document.uri)
    if document is None:
        log.warning("a change of %s, which is not open, is ignored", params.text_document.uri)
        return
    version = params.text_document.version if params.text_document.version is not None else document.version + 1
    session.put(document.apply(protocol.edits(params.content_changes), version, client.encoding))


def did_close(session: Session, params: DocumentParams) -> None:
    """Forget a document."""
    session.close(params.text_document.uri)


def did_move_cursor(session: Session, client: Client, params: DidMoveCursorParams) -> None:
    """Make ready for typing at a place."""
    if document := session.documents.get(params.text_document.uri):
        at = protocol.offset(document, params.position, client)
        path = protocol.place_of(document.uri, session.roots)
        session.warm(CompletionRequest(document, at, path, "ahead"))


def did_change_folders(session: Session, params: DidChangeWorkspaceFoldersParams) -> None:
    """Take over the workspace's folders."""
    removed = {folder.uri for folder in params.event.removed}
    kept = [uri for uri in session.roots if uri not in removed]
    session.roots = tuple(dict.fromkeys([*kept, *(folder.uri for folder in params.event.added)]))

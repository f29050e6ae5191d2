"""textDocument/inlineCompletion, and textDocument/completion for clients that lack it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from lsp_server import protocol
from lsp_server.capabilities import Client
from lsp_server.completion.request import CompletionRequest, Trigger
from lsp_server.completion.trace import Trace
from lsp_server.protocol import INVOKED, CompletionParams, InlineCompletionParams
from lsp_server.session import Session
from lsp_server.text import Document

FALLBACK_PATIENCE_S = 1.0  # many editors show no completion of any server before the slowest has answered


async def inline_completion(
    session: Session, client: Client, params: InlineCompletionParams
) -> dict[str, Any] | None:
    """One suggestion, or an empty list, which hides the one before; None when a newer request superseded this.

    Who asks by hand gets what else is known to fit there, too: that is how VS Code asks for the next one.
    None too when there is no model, or when the document changed meanwhile.
    """
    document = session.documents.get(params.text_document.uri)
    if document is None:
        return None
    at = protocol.offset(document, params.position, client)
    asked, start, end, typed = document, at, at, ""
    if selected := params.context.selected_completion_info:
        # The editor's own popup has a word selected: go on as if it were accepted, or VS Code shows nothing.
        start = protocol.offset(document, selected.range.start, client)
        end = protocol.offset(document, selected.range.end, client)
        typed = selected.text
        asked = replace(document, text=document.text[:start] + typed + document.text[end:])
    trigger: Trigger = "invoked" if params.context.trigger_kind == INVOKED else "automatic"
    text, trace = await _suggest(session, asked, start + len(typed), trigger)
    if text is None or not _is_current(session, document, trace):
        return None
    if not text:
        return {"items": []} if session.worker.model else None
    texts = [text]
    if trigger == "invoked":
        texts += session.memory.cache.others(document.uri, asked.text, start + len(typed), text)
    return protocol.inline_completion_list(
        document, start, end, [typed + text for text in texts], trace.number, client
    )


async def completion(session: Session, client: Client, params: CompletionParams) -> dict[str, Any] | None:
    """The same as an ordinary item. An answer that is late is kept for the next request."""
    document = session.documents.get(params.text_document.uri)
    if document is None:
        return None
    at = protocol.offset(document, params.position, client)
    work = asyncio.ensure_future(_suggest(session, document, at, "automatic"))
    try:
        text, trace = await asyncio.wait_for(asyncio.shield(work), FALLBACK_PATIENCE_S)
    except asyncio.TimeoutError:
        return {"isIncomplete": True, "items": []}
    except asyncio.CancelledError:
        work.cancel()
        raise
    if not text or not _is_current(session, document, trace):
        return {"isIncomplete": True, "items": []}
    return protocol.completion_list(document, at, text, client)


async def _suggest(session: Session, document: Document, at: int, trigger: Trigger) -> tuple[str | None, Trace]:
    root, path = protocol.home_of(document.uri, session.roots)
    request = CompletionRequest(document, at, path, trigger, root)
    trace = session.new_trace(document.uri, trigger)
    return await session.suggest(request, trace), trace


def _is_current(session: Session, document: Document, trace: Trace) -> bool:
    """Whether the document is still the one the suggestion was made for; if not, the cache may use it yet."""
    current = session.documents.get(document.uri)
    if current is not None and current.version == document.version:
        return True
    trace.end("", "the document changed while the model worked")
    return False

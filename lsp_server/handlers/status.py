"""kruk/status, kruk/lastCompletion and kruk/didChangeStatus: what Kruk is doing, and why nothing appeared."""

from __future__ import annotations

from typing import Any

from lsp_server.actions.ability import why_not
from lsp_server.model.base import Speaker
from lsp_server.session import Session


def as_dict(session: Session) -> dict[str, Any]:
    """State of the server as JSON values."""
    status = session.worker.status
    state, message = status.state, status.message
    if not session.settings.completion.enabled and state in ("ready", "busy"):
        state, message = "off", "Completions are switched off"
    model = session.worker.model
    chat_model = session.worker.chat_model
    server = model.info.server if model else None
    remote = session.settings.remote
    if remote.allows_non_local:
        leaves = f"text is sent to {server.url}" if server and not server.is_local else "text may leave this machine"
        message = f"{message}. `kruk.remote.allowNonLocal` is on: {leaves}"
    if session.endpoint:
        message = f"{message}. `kruk.endpoint.port` is set: suggestions are given at {session.endpoint} too"
    pace = None if model is None or isinstance(model, Speaker) else model.drafter.pace.tokens_per_second
    drafts = [it.info.drafts for it in (model, chat_model) if it and it.info.drafts]
    return {
        "state": state,
        "message": message,
        "model": model.info.name if model else remote.model or remote.url or session.settings.model,
        "percent": status.percent,
        "missingModel": status.missing_model or None,
        "tokensPerSecond": round(pace, 1) if pace else None,
        "chatModel": chat_model.info.name if chat_model else None,
        "contextTokens": chat_model.info.n_ctx if chat_model else None,
        "canChat": chat_model is not None and not why_not(chat_model.info),
        "kvCache": model.info.memory_kind if model else None,
        "drafts": "; ".join(dict.fromkeys(drafts)) or None,
        "server": {"url": server.url, "kind": server.kind, "isLocal": server.is_local} if server else None,
        "allowsNonLocal": remote.allows_non_local,
        "endpoint": session.endpoint or None,
    }


def last_completion(session: Session) -> dict[str, Any] | None:
    """Trace of the last completion: milliseconds and counts of every room, and the reason when it was empty."""
    return session.last_trace.as_dict() if session.last_trace else None

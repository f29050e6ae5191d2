"""kruk/status, kruk/lastCompletion and kruk/didChangeStatus: what Kruk is doing, and why nothing appeared."""

from __future__ import annotations

from typing import Any

from lsp_server.actions.ability import why_not
from lsp_server.session import Session


def as_dict(session: Session) -> dict[str, Any]:
    """State of the server as JSON values."""
    status = session.worker.status
    state, message = status.state, status.message
    if not session.settings.completion.enabled and state in ("ready", "busy"):
        state, message = "off", "Completions are switched off"
    model = session.worker.model
    pace = model.drafter.pace.tokens_per_second if model else None
    return {
        "state": state,
        "message": message,
        "model": model.info.name if model else session.settings.model,
        "percent": status.percent,
        "tokensPerSecond": round(pace, 1) if pace else None,
        "contextTokens": model.info.n_ctx if model else None,
        "canChat": model is not None and not why_not(model.info),
        "kvCache": model.info.memory_kind if model else None,
    }


def last_completion(session: Session) -> dict[str, Any] | None:
    """Trace of the last completion: milliseconds and counts of every room, and the reason when it was empty."""
    return session.last_trace.as_dict() if session.last_trace else None

"""kruk/status, kruk/lastCompletion and kruk/didChangeStatus: what Kruk is doing, and why nothing appeared."""

from __future__ import annotations

from typing import Any

from lsp_server.session import Session


def as_dict(session: Session) -> dict[str, Any]:
    """State of the server as JSON values."""
    status = session.worker.status
    state, message = status.state, status.message
    if not session.settings.completion.enabled and state in ("ready", "busy"):
        state, message = "off", "Completions are switched off"
    model = session.worker.model
    return {
        "state": state,
        "message": message,
        "model": model.info.name if model else session.settings.model,
        "percent": status.percent,
        "kvCache": model.info.memory_kind if model else None,
    }


def last_completion(session: Session) -> dict[str, Any] | None:
    """Trace of the last completion: milliseconds and counts of every room, and the reason when it was empty."""
    return session.last_trace.as_dict() if session.last_trace else None

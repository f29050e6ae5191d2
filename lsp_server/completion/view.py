"""What the model sees for one request: a window of the file, and pieces of other files."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from lsp_server.completion.memory import Memory
from lsp_server.completion.prompt import Context
from lsp_server.completion.request import CompletionRequest
from lsp_server.context.pieces import Piece
from lsp_server.context.projects import Project
from lsp_server.context.relevance import Chosen, Place
from lsp_server.context.window import Anchored, place
from lsp_server.model.worker import Worker
from lsp_server.settings import Settings

DEFAULT_ANCHOR_LINES = 8  # until the model says its own
OTHERS_SHARE = 2  # other files get half as many tokens as the window


@dataclass(frozen=True)
class View:
    """Windows and context, full and near. `is_prepared`: the sequence SPARE holds the full prompt."""

    anchored: Anchored
    context: Context
    near_context: Context
    chosen: Chosen | None = None
    is_prepared: bool = False


async def look(
    request: CompletionRequest, settings: Settings, worker: Worker, memory: Memory, counts: dict[str, Any]
) -> View:
    """Put the windows and say what else is shown; for the trace, say how many pieces, and why.

    Other files are looked at anew only where the prompt changes anyway; else what was chosen before stays, and
    idle time brings a better choice.
    """
    document, uri = request.document, request.document.uri
    before, is_prepared = memory.anchors.get(uri), False
    if request.trigger != "ahead" and memory.spare and memory.spare.is_ready(document, request.offset):
        before, is_prepared = memory.spare.anchored, True
        if memory.spare.chosen:
            memory.chosen[uri] = memory.spare.chosen
        memory.spare = None
    anchored = put_windows(request, settings, worker, before)
    is_kept = before is not None and before.head is anchored.head
    chosen = memory.chosen.get(uri)
    if request.trigger != "ahead":  # that may stand far below, where nobody has gone yet
        memory.anchors[uri] = anchored
        if not is_kept or chosen is None:
            chosen = await choose(request, anchored, settings, memory)
    counts["anchorKept"], counts["anchorPrepared"] = is_kept, is_prepared
    counts["pieces"] = [f"{piece.path}: {piece.why}" for piece in chosen.pieces] if chosen else []
    return view(request, anchored, chosen, memory, is_prepared)


def put_windows(request: CompletionRequest, settings: Settings, worker: Worker, before: Anchored | None) -> Anchored:
    """Put the windows: those before as long as they hold."""
    n_lines = worker.model.info.anchor_lines if worker.model else DEFAULT_ANCHOR_LINES
    text, language = request.document.text, request.part.language
    return place(text, request.offset, settings.context_budget_tokens, n_lines, before, language)


async def choose(request: CompletionRequest, anchored: Anchored, settings: Settings, memory: Memory) -> Chosen | None:
    """Choose what to show of other files, keeping what was shown where that is good enough; None: no project."""
    uri, before = request.document.uri, memory.chosen.get(request.document.uri)
    project = project_of(request, settings, memory)
    if project is None or request.path is None:
        return None
    at = Place(request.path, request.document, request.offset, (anchored.window.start, anchored.window.end))
    if before is None or not before.is_for(at):
        budget = settings.context_budget_tokens // OTHERS_SHARE
        memory.chosen[uri] = await asyncio.to_thread(project.choose, at, budget, before)
    return memory.chosen[uri]


def project_of(request: CompletionRequest, settings: Settings, memory: Memory) -> Project | None:
    """The project whose files may be shown."""
    return memory.projects.of(request.root) if settings.context_enabled else None


def view(
    request: CompletionRequest, anchored: Anchored, chosen: Chosen | None, memory: Memory, is_prepared: bool = False
) -> View:
    """Put windows and pieces together."""
    project = memory.projects.of(request.root)
    shown = chosen or Chosen()

    def context(of: tuple[Piece, ...]) -> Context:
        language = request.part.language
        return Context(
            project.name if project else "",
            request.path or "",
            tuple((piece.path, piece.text) for piece in of),
            language.line_comment if language and language.line_comment else "#",
        )

    return View(anchored, context(shown.pieces), context(shown.near), chosen, is_prepared)

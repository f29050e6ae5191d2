"""One inline completion, from a frozen request to the text that is shown.

Seven rooms: door, trigger, cache, context, prompt, model, finish. Each leaves its time and counts in the
trace, and whoever ends the walk with nothing says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import pathspec

from lsp_server.completion import prompt as prompts
from lsp_server.completion.cache import SuggestionCache
from lsp_server.completion.finish import finish
from lsp_server.completion.stop import stop_rule
from lsp_server.completion.trace import Trace
from lsp_server.completion.trigger import Shape, decide
from lsp_server.context.window import Anchored, Window, place
from lsp_server.errors import KrukError
from lsp_server.model.base import COMPLETION, Model, ModelInfo
from lsp_server.model.generate import Generation, generate
from lsp_server.model.worker import Steps, Urgency, Worker
from lsp_server.settings import CompletionSettings
from lsp_server.syntax.languages import Language, language_for
from lsp_server.text import Document, unix

DEFAULT_ANCHOR_LINES = 8  # until the model says its own
MAX_DOCUMENT_CHARS = 20_000_000
BINARY_PROBE_CHARS = 8000  # a NUL among the first of them: not a text, as git decides it too


@dataclass(frozen=True)
class CompletionRequest:
    """What is asked, frozen at the door. `path` is None for a document that is in no file."""

    document: Document
    offset: int
    path: str | None
    is_invoked: bool


@dataclass
class Memory:
    """What one completion leaves for the next; owned by the session."""

    cache: SuggestionCache
    anchors: dict[str, Anchored]


async def complete(
    request: CompletionRequest,
    settings: CompletionSettings,
    n_budget_tokens: int,
    worker: Worker,
    memory: Memory,
    trace: Trace,
) -> str:
    """Return the text to insert at the request's offset, or "" with the reason in the trace.

    Raises asyncio.CancelledError, and nothing else: a completion that fails is empty.
    """
    try:
        text, reason = await _walk(request, settings, n_budget_tokens, worker, memory, trace)
    except asyncio.CancelledError:
        trace.end("", "cancelled, or superseded by a newer request")
        raise
    except KrukError as error:
        text, reason = "", str(error)
    trace.end(text, reason)
    return text


async def _walk(
    request: CompletionRequest,
    settings: CompletionSettings,
    n_budget_tokens: int,
    worker: Worker,
    memory: Memory,
    trace: Trace,
) -> tuple[str, str | None]:
    document, offset = request.document, request.offset
    with trace.room("door") as counts:
        counts["chars"] = len(document.text)
        if (reason := _refusal(request, settings)) is not None:
            return "", reason
    with trace.room("trigger") as counts:
        language = language_for(document.language_id, request.path or "")
        shape = decide(document.text, offset, language, settings.multiline)  # type: ignore[arg-type]
        counts["shape"], counts["why"] = shape.kind, shape.reason
        if shape.skip_reason and not request.is_invoked:
            return "", shape.skip_reason
    with trace.room("cache") as counts:
        known = memory.cache.find(document.uri, document.text, offset)
        counts["hit"] = known is not None
    if known is not None:
        return known, None
    if settings.debounce_ms and not request.is_invoked:
        with trace.room("debounce"):
            await asyncio.sleep(settings.debounce_ms / 1e3)
    with trace.room("context") as counts:
        before = memory.anchors.get(document.uri)
        anchor_lines = worker.model.info.anchor_lines if worker.model else DEFAULT_ANCHOR_LINES
        anchored = place(document.text, offset, n_budget_tokens, anchor_lines, before)
        memory.anchors[document.uri] = anchored
        counts["anchorKept"] = before is not None and before.head is anchored.head
    start = _job(request, anchored.window, shape, language, settings.max_tokens, trace)
    generation, info = await asyncio.wrap_future(worker.submit(Urgency.COMPLETION, start))
    with trace.room("finish") as counts:
        prefix, suffix = unix(document.text[:offset]), unix(document.text[offset:])
        finished = finish(generation.text, prefix, suffix, shape, language, info.control_texts)
        counts["raw"], counts["notes"] = generation.text, list(finished.notes)
    if not finished.text:
        nothing = "the model had nothing to add here" if not generation.text.strip() else None
        return "", nothing or finished.reason or "nothing was left of the model's text"
    text = finished.text.replace("\n", document.newline)
    memory.cache.add(document.uri, document.text, offset, text)
    return text, None


def _refusal(request: CompletionRequest, settings: CompletionSettings) -> str | None:
    """Say why nothing is suggested in this file at all, or None."""
    document = request.document
    if not settings.enabled:
        return "completions are switched off (`kruk.completion.enabled`, or the command `kruk.toggle`)"
    if document.language_id in settings.disabled_languages:
        return f"completions are off for {document.language_id} (`kruk.completion.disabledLanguages`)"
    if len(document.text) > MAX_DOCUMENT_CHARS:
        return f"the file is too large ({len(document.text):,} characters)"
    if "\0" in document.text[:BINARY_PROBE_CHARS]:
        return "the file is binary"
    if request.path and (glob := excluded(request.path, settings.exclude_globs)):
        return f"the file is excluded by `{glob}` (`kruk.completion.excludeGlobs`)"
    return None


def excluded(path: str, globs: tuple[str, ...]) -> str | None:
    """Return the glob that excludes the path, or None. Globs are written as in .gitignore."""
    check = _spec(globs).check_file(path.replace("\\", "/").lstrip("/"))
    return globs[check.index] if check.include and check.index is not None else None


@lru_cache(maxsize=4)
def _spec(globs: tuple[str, ...]) -> pathspec.GitIgnoreSpec:
    return pathspec.GitIgnoreSpec.from_lines(globs)


def _job(
    request: CompletionRequest,
    window: Window,
    shape: Shape,
    language: Language | None,
    n_most: int,
    trace: Trace,
) -> Callable[[Model], Steps[tuple[Generation, ModelInfo]]]:
    """Make the work for the model's thread: make the prompt, generate."""
    text, offset = request.document.text, request.offset

    def start(model: Model) -> Steps[tuple[Generation, ModelInfo]]:
        trace.waited("queue")
        with trace.room("prompt") as counts:
            parts = prompts.Parts(unix(window.head(text)), unix(window.tail(text)), unix(window.suffix(text)))
            prompt = prompts.build(model, parts, n_most)
            counts["promptTokens"], counts["healed"] = len(prompt.token_ids), len(prompt.given_back)
        stop = stop_rule(shape, unix(text[:offset]), unix(text[offset:]), language)
        with trace.room("model") as counts:
            generation = yield from generate(
                model, COMPLETION, prompt, n_most, stop.feed, must_begin=request.is_invoked
            )
            counts["reusedTokens"] = generation.evaluation.n_reused
            counts["evaluatedTokens"] = generation.evaluation.n_evaluated
            counts["tokens"], counts["endedBy"] = generation.n_tokens, generation.ended_by
        return generation, model.info

    return start

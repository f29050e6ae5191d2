"""One inline completion, from a frozen request to the text that is shown.

Seven rooms: door, trigger, cache, context, prompt, model, finish. Each leaves its time and counts in the
trace, and whoever ends the walk with nothing says why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal, TypeAlias

import pathspec

from lsp_server.completion import prompt as prompts
from lsp_server.completion.cache import SuggestionCache
from lsp_server.completion.finish import finish
from lsp_server.completion.prompt import Parts
from lsp_server.completion.stop import stop_rule
from lsp_server.completion.trace import Trace
from lsp_server.completion.trigger import Shape, decide
from lsp_server.context.window import Anchored, place
from lsp_server.errors import KrukError
from lsp_server.model.base import COMPLETION, NEAR, Evaluation, Model, ModelInfo
from lsp_server.model.generate import Generation, Prompt, generate
from lsp_server.model.worker import Steps, Urgency, Worker, persist
from lsp_server.settings import CompletionSettings, Settings
from lsp_server.syntax.languages import Language, language_for
from lsp_server.text import Document, unix

# The full prompt is taken when it has at most so many times the near one's tokens to evaluate, and so many more:
# what the near one leaves out costs right answers.
WORTH_WAITING = 2.5
WORTH_WAITING_TOKENS = 8
DEFAULT_ANCHOR_LINES = 8  # until the model says its own
MAX_DOCUMENT_CHARS = 20_000_000
BINARY_PROBE_CHARS = 8000  # a NUL among the first of them: not a text, as git decides it too


log = logging.getLogger(__name__)

Trigger: TypeAlias = Literal["invoked", "automatic", "ahead"]  # ahead: nobody has asked yet


@dataclass(frozen=True)
class CompletionRequest:
    """What is asked, frozen at the door. `path` is relative to the workspace; None for what is in no file."""

    document: Document
    offset: int
    path: str | None
    trigger: Trigger

    def after_accepting(self, text: str) -> CompletionRequest:
        """Return the request that comes next when `text`, suggested for this one, is accepted."""
        before, after = self.document.text[: self.offset], self.document.text[self.offset :]
        document = replace(self.document, text=before + text + after)
        return CompletionRequest(document, self.offset + len(text), self.path, "ahead")


@dataclass
class Memory:
    """What one completion leaves for the next; owned by the session."""

    cache: SuggestionCache = field(default_factory=SuggestionCache)
    anchors: dict[str, Anchored] = field(default_factory=dict)
    warming: Future[Evaluation] | None = None


@dataclass(frozen=True)
class Outcome:
    """What the model's thread comes back with. `to_warm`: the full prompt, when only a near one was evaluated."""

    generation: Generation
    info: ModelInfo
    to_warm: Prompt | None


async def complete(
    request: CompletionRequest, settings: Settings, worker: Worker, memory: Memory, trace: Trace
) -> str:
    """Return the text to insert at the request's offset, or "" with the reason in the trace.

    Raises asyncio.CancelledError, and nothing else: a completion that fails is empty.
    """
    try:
        text, reason = await _walk(request, settings, worker, memory, trace)
    except asyncio.CancelledError:
        trace.end("", "cancelled, or superseded by a newer request")
        raise
    except KrukError as error:
        text, reason = "", str(error)
    except Exception as error:  # a mistake of ours must not interrupt typing
        log.exception("a completion failed")
        text, reason = "", f"Kruk made a mistake: {error!r}; the log has more"
    trace.end(text, reason)
    return text


async def _walk(
    request: CompletionRequest, settings: Settings, worker: Worker, memory: Memory, trace: Trace
) -> tuple[str, str | None]:
    document, offset = request.document, request.offset
    options = settings.completion
    with trace.room("door") as counts:
        counts["chars"] = len(document.text)
        if (reason := _refusal(request, options)) is not None:
            return "", reason
    with trace.room("trigger") as counts:
        language = language_for(document.language_id, request.path or "")
        shape = decide(document.text, offset, language, options.multiline)
        counts["shape"], counts["why"] = shape.kind, shape.reason
        if shape.skip_reason and request.trigger != "invoked":
            return "", shape.skip_reason
    with trace.room("cache") as counts:
        known = memory.cache.find(document.uri, document.text, offset)
        counts["hit"] = known is not None
    if known is not None:
        return known, None
    if options.debounce_ms and request.trigger == "automatic":
        with trace.room("debounce"):
            await asyncio.sleep(options.debounce_ms / 1e3)
    with trace.room("context") as counts:
        before = memory.anchors.get(document.uri)
        anchor_lines = worker.model.info.anchor_lines if worker.model else DEFAULT_ANCHOR_LINES
        anchored = place(document.text, offset, settings.context_budget_tokens, anchor_lines, before)
        if request.trigger != "ahead":  # it may stand far below, where nobody has gone yet
            memory.anchors[document.uri] = anchored
        counts["anchorKept"] = before is not None and before.head is anchored.head
    if request.trigger != "ahead":
        _stop_warming(memory)  # of an older text, or of another document
    urgency = Urgency.PREFETCH if request.trigger == "ahead" else Urgency.COMPLETION
    start = _job(request, anchored, shape, language, options.max_tokens, trace)
    outcome = await asyncio.wrap_future(worker.submit(urgency, start))
    if outcome.to_warm:
        _warm(outcome.to_warm, worker, memory)
    raw = outcome.generation.text
    with trace.room("finish") as counts:
        prefix, suffix = unix(document.text[:offset]), unix(document.text[offset:])
        finished = finish(raw, prefix, suffix, shape, language, outcome.info.control_texts)
        counts["raw"], counts["notes"] = raw, list(finished.notes)
    if not finished.text:
        return "", finished.reason
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


def _warm(prompt: Prompt, worker: Worker, memory: Memory) -> None:
    """Evaluate the full prompt when nobody waits; the newest one only."""
    _stop_warming(memory)
    memory.warming = worker.submit(
        Urgency.WARM, lambda model: persist(lambda: model.evaluate(COMPLETION, prompt.token_ids))
    )


def _stop_warming(memory: Memory) -> None:
    if memory.warming:
        memory.warming.cancel()


def _job(
    request: CompletionRequest,
    anchored: Anchored,
    shape: Shape,
    language: Language | None,
    n_most: int,
    trace: Trace,
) -> Callable[[Model], Steps[Outcome]]:
    """Make the work for the model's thread: make the prompt, generate."""
    text, offset = request.document.text, request.offset

    def start(model: Model) -> Steps[Outcome]:
        trace.waited("queue")
        with trace.room("prompt") as counts:
            prompt = full = prompts.build(model, Parts.of(text, anchored.window), n_most)
            sequence, n_missing = COMPLETION, model.n_missing(COMPLETION, full.token_ids)
            if n_missing > WORTH_WAITING_TOKENS:
                near = prompts.build(model, Parts.of(text, anchored.near), n_most)
                n_missing_near = model.n_missing(NEAR, near.token_ids)
                if n_missing > WORTH_WAITING * n_missing_near + WORTH_WAITING_TOKENS:
                    prompt, sequence = near, NEAR
            counts["promptTokens"], counts["healed"] = len(prompt.token_ids), len(prompt.given_back)
            counts["window"] = "near" if sequence == NEAR else "full"
        stop = stop_rule(shape, unix(text[:offset]), unix(text[offset:]), language)
        must_begin = request.trigger == "invoked"
        with trace.room("model") as counts:
            generation = yield from generate(model, sequence, prompt, n_most, stop.feed, must_begin=must_begin)
            counts["reusedTokens"] = generation.evaluation.n_reused
            counts["evaluatedTokens"] = generation.evaluation.n_evaluated
            counts["tokens"], counts["endedBy"] = generation.n_tokens, generation.ended_by
        return Outcome(generation, model.info, full if sequence == NEAR else None)

    return start

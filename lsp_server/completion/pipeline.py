"""One inline completion, from a frozen request to the text that is shown.

Seven rooms: door, trigger, cache, context, prompt, model, finish. Each leaves its time and counts in the
trace, and whoever ends the walk with nothing says why.
"""

from __future__ import annotations

import asyncio
import logging

from lsp_server.completion import job
from lsp_server.completion.confidence import confidence, doubts, sure_lines, too_low
from lsp_server.completion.finish import finish
from lsp_server.completion.job import Flight, Task
from lsp_server.completion.memory import Memory
from lsp_server.completion.outputs import Output
from lsp_server.completion.refusal import refusal
from lsp_server.completion.request import CompletionRequest
from lsp_server.completion.trigger import Shape, decide
from lsp_server.completion.view import look
from lsp_server.errors import KrukError
from lsp_server.model.worker import Urgency, Worker
from lsp_server.settings import CompletionSettings, Settings
from lsp_server.text import unix

HINT_CHARS = 40  # of the text in front of the suggestion before: where a draft may join it

log = logging.getLogger(__name__)


async def complete(flight: Flight, settings: Settings, worker: Worker, memory: Memory) -> str:
    """Return the text to insert at the request's offset, or "" with the reason in the trace.

    Raises asyncio.CancelledError, and nothing else: a completion that fails is empty.
    """
    try:
        text, reason = await _walk(flight, settings, worker, memory)
    except asyncio.CancelledError:
        flight.leave()
        raise
    except KrukError as error:
        text, reason = "", str(error)
    except Exception as error:  # a mistake of ours must not interrupt typing
        log.exception("a completion failed")
        text, reason = "", f"Kruk made a mistake: {error!r}; the log has more"
    if not flight.is_left:
        flight.trace.end(text, reason)
    return text


async def _walk(flight: Flight, settings: Settings, worker: Worker, memory: Memory) -> tuple[str, str | None]:
    request, trace = flight.request, flight.trace
    document, offset = request.document, request.offset
    options = settings.completion
    with trace.room("door") as counts:
        counts["chars"] = len(document.text)
        if (reason := refusal(request, options)) is not None:
            return "", reason
    with trace.room("trigger") as counts:
        part, language = request.part, request.part.language
        shape = decide(document.text[part.start : part.end], offset - part.start, language, options.multiline)
        counts["shape"], counts["why"] = shape.kind, shape.reason
        if shape.skip_reason and request.trigger != "invoked":
            return "", shape.skip_reason
    with trace.room("cache") as counts:
        memory.recollect(document.uri)
        known = memory.cache.find(document.uri, document.text, offset)
        counts["hit"] = known is not None
        if known is not None:
            counts["isBranch"], counts["confidence"] = known.is_branch, round(known.confidence, 3)
            reason = _unsure(request, known.confidence, options)
            return ("", reason) if reason else (known.text, None)
        output = memory.outputs.find(request, shape, request.at_most(options.max_tokens))
        counts["written"] = output is not None
    if output is None:
        output = await _write(flight, shape, settings, worker, memory)
    with trace.room("finish") as counts:
        raws = [output.generation.text]
        if request.trigger != "invoked":
            # The unsure lines too, where the first one is nothing without them.
            raws.insert(0, sure_lines(output.generation, options.min_confidence))
        for raw in raws:
            finished = finish(raw, request.prefix, request.suffix, shape, language, output.control_texts)
            if finished.text:
                break
        counts["raw"], counts["notes"] = raw, list(finished.notes)
        tokens = doubts(output.generation, finished.text)
        counts["confidence"] = round(confidence(tokens), 3)
    if not finished.text:
        return "", finished.reason
    text = finished.text.replace("\n", document.newline)
    memory.cache.add(document.uri, document.text, offset, text, tokens)
    reason = _unsure(request, confidence(tokens), options)
    return ("", reason) if reason else (text, None)


async def _write(flight: Flight, shape: Shape, settings: Settings, worker: Worker, memory: Memory) -> Output:
    """Let the model write."""
    request, trace, options = flight.request, flight.trace, settings.completion
    if options.debounce_ms and request.trigger == "automatic":
        with trace.room("debounce"):
            await asyncio.sleep(options.debounce_ms / 1e3)
    with trace.room("context") as counts:
        seen = await look(request, settings, worker, memory, counts)
    if request.trigger != "ahead":
        memory.stop_warming()  # of an older text, or of another document
    newest = memory.outputs.newest(request.document.uri)
    hint = unix(newest.before[-HINT_CHARS:] + newest.text) if newest else ""
    least = options.min_confidence if request.trigger == "automatic" else 0.0
    task = Task(request, shape, seen, request.at_most(options.max_tokens), hint, least)
    urgency = Urgency.PREFETCH if request.trigger == "ahead" else Urgency.COMPLETION
    flight.job = worker.submit(urgency, job.suggest(task, flight, memory.states))
    outcome = flight.outcome = await asyncio.wrap_future(flight.job)
    if outcome.to_warm:
        memory.stop_warming()
        memory.warming = worker.submit(Urgency.WARM, job.warm(outcome.to_warm, memory.states))
    return memory.outputs.add(request, outcome.generation, outcome.info.control_texts)


def _unsure(request: CompletionRequest, sure: float, options: CompletionSettings) -> str | None:
    """Say why a suggestion that nobody asked for by hand is kept back, or None."""
    if request.trigger != "automatic" or sure >= options.min_confidence:
        return None
    return too_low(sure, options.min_confidence)

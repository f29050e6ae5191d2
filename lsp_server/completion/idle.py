"""What is made ready while nobody waits: the second best suggestion, and a new anchor."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Coroutine, Sequence
from typing import Any

from lsp_server.completion import job
from lsp_server.completion.confidence import doubts
from lsp_server.completion.finish import finish
from lsp_server.completion.job import Outcome, Task
from lsp_server.completion.memory import Memory, Spare
from lsp_server.completion.refusal import refusal
from lsp_server.completion.request import CompletionRequest
from lsp_server.completion.trigger import Shape
from lsp_server.completion.view import choose, put_windows, view
from lsp_server.context.window import Anchored
from lsp_server.errors import KrukError
from lsp_server.model.base import Step
from lsp_server.model.worker import Urgency, Worker
from lsp_server.settings import Settings

MAX_BRANCHES = 2
UNDECIDED = math.log(0.15)  # a runner-up at least so likely is worth the power
MAX_BRANCH_TOKENS = 24  # how far into a suggestion it may branch

log = logging.getLogger(__name__)


def branches(outcome: Outcome, worker: Worker, memory: Memory) -> list[Coroutine[Any, Any, None]]:
    """Make the work of continuing where the model was undecided the other way, into the cache."""
    if not outcome.info.can_truncate:
        return []
    return [_branch(outcome, at, worker, memory) for at in undecided(outcome.generation.steps)]


def undecided(steps: Sequence[Step]) -> list[int]:
    """Indexes of the tokens whose runner-up was likely, the most likely first."""
    rivals = [
        (step.rival_logprob, at)
        for at, step in enumerate(steps[:MAX_BRANCH_TOKENS])
        if step.rival_id >= 0 and step.rival_logprob > UNDECIDED
    ]
    return [at for _, at in sorted(rivals, reverse=True)[:MAX_BRANCHES]]


async def _branch(outcome: Outcome, at: int, worker: Worker, memory: Memory) -> None:
    task = outcome.task
    request = task.request
    try:
        generation = await asyncio.wrap_future(worker.submit(Urgency.BRANCH, job.branch(outcome, at)))
    except KrukError as error:
        log.debug("no second suggestion: %s", error)
        return
    controls = outcome.info.control_texts
    finished = finish(generation.text, request.prefix, request.suffix, task.shape, task.language, controls)
    if finished.text:
        text = finished.text.replace("\n", request.document.newline)
        document, tokens = request.document, doubts(generation, finished.text)
        memory.cache.add(document.uri, document.text, request.offset, text, tokens, is_branch=True)


async def follow(outcome: Outcome, worker: Worker) -> None:
    """Have the model that drafts read the prompt in use, so that it can for the next request."""
    if outcome.info.drafts and not outcome.to_warm:
        with contextlib.suppress(KrukError):
            await asyncio.wrap_future(worker.submit(Urgency.WARM, job.follow(outcome)))


async def warm(request: CompletionRequest, settings: Settings, worker: Worker, memory: Memory) -> None:
    """Evaluate the prompts of a place, the near one first, so that the first key stroke there finds them."""
    if refusal(request, settings.completion):
        return
    uri = request.document.uri
    memory.recollect(uri)
    before = memory.anchors.get(uri)
    anchored = memory.anchors[uri] = put_windows(request, settings, worker, before)
    if before is None or before.head is not anchored.head:
        await choose(request, anchored, settings, memory)
    seen = view(request, anchored, memory.chosen.get(uri), memory)
    task = Task(request, Shape("line", "nobody has asked yet"), seen, settings.completion.max_tokens)
    memory.stop_warming()
    memory.warming = worker.submit(Urgency.WARM, job.warm_both(task, memory.states))


async def prepare_spare(outcome: Outcome, settings: Settings, worker: Worker, memory: Memory) -> None:
    """Prepare a nearer anchor before the one in use has to be given up, and what has become worth showing."""
    task = outcome.task
    request, uri = task.request, task.request.document.uri
    if outcome.to_warm or not outcome.info.can_truncate:
        return
    shown = task.view.chosen
    chosen = await choose(request, task.view.anchored, settings, memory)
    is_aged = task.view.anchored.is_aged(request.document.text)
    if chosen and shown and chosen.pieces is shown.pieces and not is_aged:
        return
    if shown is not None:
        memory.chosen[uri] = shown  # until the other one is evaluated
    if memory.spare and memory.spare.uri == uri:
        before: Anchored | None = memory.spare.anchored
    else:
        before = None if is_aged else task.view.anchored
    anchored = put_windows(request, settings, worker, before)
    prepared = Task(request, task.shape, view(request, anchored, chosen, memory), task.n_most)
    memory.spare = Spare(uri, anchored, chosen, worker.submit(Urgency.WARM, job.prepare_spare(prepared)))

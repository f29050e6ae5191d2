"""What is made ready while nobody waits: the second best suggestion, and a new anchor."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Coroutine, Sequence
from typing import Any

from lsp_server.completion import job
from lsp_server.completion.confidence import doubts
from lsp_server.completion.finish import finish
from lsp_server.completion.job import Outcome
from lsp_server.completion.pipeline import Memory, Spare, anchor_lines, stop_warming
from lsp_server.completion.refusal import refusal
from lsp_server.completion.request import CompletionRequest
from lsp_server.completion.trigger import Shape
from lsp_server.context.window import place
from lsp_server.errors import KrukError
from lsp_server.model.generate import Step
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


def warm(request: CompletionRequest, settings: Settings, worker: Worker, memory: Memory) -> None:
    """Evaluate the prompts of a place, the near one first, so that the first key stroke there finds them."""
    if refusal(request, settings.completion):
        return
    document = request.document
    memory.recollect(document.uri)
    before = memory.anchors.get(document.uri)
    anchored = place(document.text, request.offset, settings.context_budget_tokens, anchor_lines(worker), before)
    memory.anchors[document.uri] = anchored
    task = job.Task(request, Shape("line", "nobody has asked yet"), None, anchored, settings.completion.max_tokens)
    stop_warming(memory)
    memory.warming = worker.submit(Urgency.WARM, job.warm_both(task, memory.states))


def put_anchor_anew(outcome: Outcome, settings: Settings, worker: Worker, memory: Memory) -> None:
    """Prepare a nearer anchor before the one in use has to be given up."""
    task = outcome.task
    text, offset = task.request.document.text, task.request.offset
    if outcome.to_warm or not outcome.info.can_truncate or not task.anchored.is_aged(text):
        return
    uri = task.request.document.uri
    before = memory.spare.anchored if memory.spare and memory.spare.uri == uri else None
    anchored = place(text, offset, settings.context_budget_tokens, outcome.info.anchor_lines, before)
    prepared = job.Task(task.request, task.shape, task.language, anchored, task.n_most)
    spare = worker.submit(Urgency.WARM, job.prepare_spare(prepared))
    memory.spare = Spare(uri, anchored, spare)

"""What the model's thread does for one completion: make the prompt, generate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeAlias

from lsp_server.completion import prompt as prompts
from lsp_server.completion.confidence import confidence, doubts
from lsp_server.completion.prompt import Parts
from lsp_server.completion.request import CompletionRequest
from lsp_server.completion.stop import stop_rule
from lsp_server.completion.trace import Trace
from lsp_server.completion.trigger import Shape
from lsp_server.completion.view import View
from lsp_server.model.base import BRANCH, COMPLETION, NEAR, SPARE, Evaluation, Model, ModelInfo, Speaker
from lsp_server.model.generate import Generation, Prompt, generate
from lsp_server.model.states import States
from lsp_server.model.worker import Steps, persist
from lsp_server.syntax.languages import Language

# The full prompt is taken when it has at most so many times the near one's tokens to evaluate, and so many more:
# what the near one leaves out costs right answers.
WORTH_WAITING = 2.5
WORTH_WAITING_TOKENS = 8
MOST_WAITING_TOKENS = 200  # more than the near one's, a second on two cores

Job: TypeAlias = Callable[[Model], Steps[Generation]]


@dataclass(frozen=True)
class Task:
    """What to generate: everything that is known before the model's thread takes over."""

    request: CompletionRequest
    shape: Shape
    view: View
    n_most: int
    hint: str = ""  # a text that the output may repeat
    least: float = 0.0  # a first line less probable is kept back

    @property
    def language(self) -> Language | None:
        """The language at the cursor."""
        return self.request.part.language


@dataclass(frozen=True)
class Outcome:
    """What the model's thread comes back with. `to_warm`: the full prompt, when only a near one was evaluated."""

    task: Task
    prompt: Prompt
    sequence: int
    generation: Generation
    info: ModelInfo
    to_warm: Prompt | None


@dataclass
class Flight:
    """A completion on its way: what the model has said so far, and its job, once there is one.

    `doubt`: the probability of its first line, as soon as that is too low to be shown; each token only lowers it.
    """

    request: CompletionRequest
    trace: Trace
    said: str = ""  # written on the model's thread
    doubt: Future[float] = field(default_factory=Future)
    job: Future[Outcome] | None = None
    outcome: Outcome | None = None
    is_left: bool = False  # whoever asked does not wait any more

    def leave(self, reason: str = "cancelled, or superseded by a newer request") -> None:
        """End the trace here; the work may go on for the next request."""
        self.trace.end("", reason)
        self.is_left = True

    def serves(self, request: CompletionRequest) -> bool:
        """Whether a newer request may yet get its answer from this one: what was typed is what is being said."""
        typed = request.typed_since(self.request)
        if typed is None:
            return False
        return not typed or (len(self.said) > len(typed) and self.said.startswith(typed))


def suggest(task: Task, flight: Flight, states: States) -> Callable[[Model], Steps[Outcome]]:
    """Make the work of one suggestion."""
    trace, shape = flight.trace, task.shape

    def start(model: Model) -> Steps[Outcome]:
        trace.waited("queue")
        with trace.room("prompt") as counts:
            prompt = full = full_prompt(model, task)
            if task.view.is_prepared and model.n_missing(SPARE, full.token_ids) < model.n_missing(
                COMPLETION, full.token_ids
            ):
                model.copy(SPARE, COMPLETION, len(full.token_ids))
            n_before = model.n_missing(COMPLETION, full.token_ids)
            states.prepare(model, COMPLETION, full.token_ids)
            sequence, n_missing = COMPLETION, model.n_missing(COMPLETION, full.token_ids)
            if n_missing > WORTH_WAITING_TOKENS:
                near = near_prompt(model, task)
                n_missing_near = model.n_missing(NEAR, near.token_ids)
                if not _is_worth_waiting(n_missing, n_missing_near):
                    prompt, sequence = near, NEAR
            counts["promptTokens"], counts["healed"] = len(prompt.token_ids), len(prompt.given_back)
            counts["window"] = "near" if sequence == NEAR else "full"
            counts["restoredTokens"] = n_before - n_missing
        rule = stop_rule(shape, task.request.prefix, task.request.suffix, task.language)

        def hear(text: str) -> bool:
            flight.said += text
            return rule.feed(text)

        def weigh(generation: Generation) -> None:
            if task.least and not flight.doubt.done():
                sure = confidence(doubts(generation, generation.text))
                if sure < task.least:
                    flight.doubt.set_result(sure)

        with trace.room("model") as counts:
            generation = yield from generate(
                model,
                sequence,
                prompt,
                task.n_most,
                hear,
                must_begin=task.request.trigger == "invoked",
                is_line=shape.kind != "block",
                hints=model.tokenize(task.hint),
                told=weigh,
            )
            counts["reusedTokens"] = generation.evaluation.n_reused
            counts["evaluatedTokens"] = generation.evaluation.n_evaluated
            counts["tokens"], counts["endedBy"] = generation.n_tokens, generation.ended_by
            counts["evaluations"] = generation.n_evaluations
            counts["drafted"], counts["draftedRight"] = generation.n_drafted, generation.n_drafted_right
        return Outcome(task, prompt, sequence, generation, model.info, full if sequence == NEAR else None)

    return start


def branch(outcome: Outcome, at: int) -> Job:
    """Make the work of the other suggestion: the one that takes the runner-up for its token number `at`."""
    task = outcome.task
    forced = [*(step.token_id for step in outcome.generation.steps[:at]), outcome.generation.steps[at].rival_id]

    def start(model: Model) -> Steps[Generation]:
        model.copy(outcome.sequence, BRANCH, len(outcome.prompt.token_ids) + at)
        rule = stop_rule(task.shape, task.request.prefix, task.request.suffix, task.language)
        is_line = task.shape.kind != "block"
        return (
            yield from generate(model, BRANCH, outcome.prompt, task.n_most, rule.feed, is_line=is_line, forced=forced)
        )

    return start


def warm(prompt: Prompt, states: States) -> Callable[[Model], Steps[Evaluation]]:
    """Make the work of evaluating a prompt before it is asked for."""

    def start(model: Model) -> Steps[Evaluation]:
        states.prepare(model, COMPLETION, prompt.token_ids)
        evaluation = yield from persist(lambda: model.evaluate(COMPLETION, prompt.token_ids))
        yield from _follow(model, prompt.token_ids)
        return evaluation

    return start


def follow(outcome: Outcome) -> Callable[[Model], Steps[None]]:
    """Make the work of having the model that drafts read the prompt of a suggestion."""
    return lambda model: _follow(model, outcome.prompt.token_ids)


def _follow(model: Model, token_ids: Sequence[int]) -> Steps[None]:
    if not isinstance(model, Speaker) and (small := model.draft_model):
        yield from persist(lambda: small.follow(COMPLETION, token_ids))


def warm_both(task: Task, states: States) -> Callable[[Model], Steps[None]]:
    """Make the work of evaluating both prompts of a place; the near one only where it would be used."""

    def start(model: Model) -> Steps[None]:
        full, near = full_prompt(model, task).token_ids, near_prompt(model, task).token_ids
        if isinstance(model, Speaker):  # which has one place for both
            yield from persist(lambda: model.evaluate(COMPLETION, full))
            return
        states.prepare(model, COMPLETION, full)
        n_missing = model.n_missing(COMPLETION, full)
        if not _is_worth_waiting(n_missing, len(near)):
            yield from persist(lambda: model.evaluate(NEAR, near))
        if n_missing > WORTH_WAITING_TOKENS:  # else what was generated behind it would be dropped for little
            yield from persist(lambda: model.evaluate(COMPLETION, full))
        yield from _follow(model, full)

    return start


def prepare_spare(task: Task) -> Callable[[Model], Steps[Evaluation]]:
    """Make the work of evaluating the prompt with a new anchor, beside the one in use."""

    def start(model: Model) -> Steps[Evaluation]:
        ids = full_prompt(model, task).token_ids
        if model.n_missing(COMPLETION, ids) < model.n_missing(SPARE, ids):
            model.copy(COMPLETION, SPARE, len(ids) - model.n_missing(COMPLETION, ids))
        return (yield from persist(lambda: model.evaluate(SPARE, ids)))

    return start


def near_prompt(model: Model, task: Task) -> Prompt:
    """Make the prompt of the near window."""
    view, text = task.view, task.request.document.text
    parts = Parts.of(text, view.anchored.near, view.anchored.near_above, view.near_context)
    return prompts.build(model, parts, task.n_most)


def full_prompt(model: Model, task: Task) -> Prompt:
    """Make the prompt of the full window."""
    view, text = task.view, task.request.document.text
    parts = Parts.of(text, view.anchored.window, view.anchored.above, view.context)
    return prompts.build(model, parts, task.n_most)


def _is_worth_waiting(n_missing: int, n_missing_near: int) -> bool:
    """Whether the full prompt is evaluated although the near one has fewer tokens to evaluate."""
    most = min(WORTH_WAITING * n_missing_near + WORTH_WAITING_TOKENS, n_missing_near + MOST_WAITING_TOKENS)
    return n_missing <= most

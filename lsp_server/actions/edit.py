"""Edit, Fix, Simplify: the code anew from the model, checked, and as few changes as possible.

An answer that does not parse goes back to the model once, with the error. A fix that changes nothing is written anew
from the definition's documentation, or goes on from where the model was least certain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lsp_server.actions.action import Action
from lsp_server.actions.ask import Count, OnText, ask
from lsp_server.actions.changes import Change, apply, changes
from lsp_server.actions.contract import contract_of
from lsp_server.actions.reply import FenceWatch, body_of, code_in, fence_for
from lsp_server.actions.target import Target, tree_of
from lsp_server.actions.words import shown_code
from lsp_server.chat.markdown import fenced
from lsp_server.chat.template import Message
from lsp_server.model.base import Model
from lsp_server.model.generate import Generation
from lsp_server.model.states import States
from lsp_server.model.worker import Steps
from lsp_server.syntax.problems import first_problem

WHOLE = "Reply with the whole code in one code block and nothing else."
ANEW = "Written anew from its documentation by a model: please read it"
MIN_TOKENS, GROWTH = 128, 1.5  # an answer may be so much longer than the code


@dataclass(frozen=True)
class Outcome:
    """What came of an action: changes, or why there are none."""

    changes: tuple[Change, ...] = ()
    refusal: str = ""
    note: str = ""  # what the user should know of the changes
    count: Count = field(default_factory=Count)


def edit(
    action: Action, target: Target, words: str, states: States, on_text: OnText = lambda _: None
) -> Callable[[Model], Steps[Outcome]]:
    """Make the work of an action that writes code anew. `on_text` hears the answer, on the model's thread."""

    def start(model: Model) -> Steps[Outcome]:
        return (yield from _Editing(model, action, target, states, on_text).run(words))

    return start


class _Editing:
    """One run of the work."""

    def __init__(self, model: Model, action: Action, target: Target, states: States, on_text: OnText) -> None:
        self._model, self._action, self._target = model, action, target
        self._states, self._on_text = states, on_text
        self._hints = model.tokenize(shown_code(action, target))  # all of which an answer may repeat
        self._fence = fence_for(target.code)
        self._opening = f"{self._fence}{target.document.language_id}\n"
        self._count = Count()

    def run(self, words: str) -> Steps[Outcome]:
        """Ask, check, and ask again where that helps."""
        asked, note = [Message("user", words)], ""
        generation = yield from self._ask(asked)
        found = self._changes(generation)
        if generation.ended_by == "length":
            return self._refuse("The model's answer did not come to its end. Select less code.")
        if not found and self._action.needs == "diagnostics":  # there must be something to change
            found, note = yield from self._otherwise(asked, generation)
        if not found:
            return self._refuse("The model would change nothing.")
        if problem := self._problem(found):
            wanted = f"This does not parse: {problem}. Reply with the whole corrected code in one code block."
            said = Message("assistant", generation.text)
            generation = yield from self._ask([*asked, said, Message("user", wanted)])
            found, note = self._changes(generation), ""
            again = self._problem(found)
            if again or not found or generation.ended_by == "length":
                return self._refuse(f"What the model wrote does not parse, twice: {again or problem}.")
        return Outcome(tuple(found), note=note, count=self._count)

    def _ask(self, turns: list[Message], begins: str = "", forced: tuple[int, ...] = ()) -> Steps[Generation]:
        """Ask; the answer begins with a fence and `begins`, or with tokens of an earlier one."""
        generation = yield from ask(
            self._model,
            turns,
            max(MIN_TOKENS, int(len(self._hints) * GROWTH)),
            self._on_text,
            self._states,
            begins="" if forced else self._opening + begins,
            forced=forced,
            hints=self._hints,
            stop=FenceWatch(self._fence),
            count=self._count,
        )
        return generation

    def _otherwise(self, asked: list[Message], first: Generation) -> Steps[tuple[list[Change], str]]:
        """After an answer that changes nothing: what to change, and a note; nothing when there is no better one."""
        attempts = [(self._from_doubt(asked, first), "")]
        if contract := contract_of(self._target):
            attempts.insert(0, (self._anew(contract), ANEW))
        for attempt, note in attempts:
            generation = yield from attempt
            found = self._changes(generation) if generation and generation.ended_by != "length" else []
            if found and not self._problem(found):
                return found, note
        return [], ""

    def _anew(self, contract: str) -> Steps[Generation | None]:
        """Write the definition once more from its documentation, without a look at what does not work."""
        language, name = self._target.document.language_id, self._target.name
        words = f"{fenced(contract, language)}\n\nComplete `{name}`. {WHOLE}"
        return (yield from self._ask([Message("user", words)], begins=contract))

    def _from_doubt(self, asked: list[Message], first: Generation) -> Steps[Generation | None]:
        """Answer once more from the token that was the least certain, with its rival."""
        doubts = [
            (step.logprob - step.rival_logprob, n)
            for n, step in enumerate(first.steps)
            if step.rival_id >= 0 and not self._model.is_end(step.rival_id)
        ]
        if not doubts:
            return None
        _, n = min(doubts)
        forced = (*(step.token_id for step in first.steps[:n]), first.steps[n].rival_id)
        return (yield from self._ask(asked, forced=forced))

    def _changes(self, generation: Generation) -> list[Change]:
        code = code_in(generation.text)
        if self._action.edits == "body":
            code = body_of(code, self._target)
        return changes(self._target, code) if code.strip() else []

    def _problem(self, found: list[Change]) -> str:
        """What does not parse in the document with the changes, that did before; "" for nothing."""
        return problem_of(self._target, found)

    def _refuse(self, why: str) -> Outcome:
        return Outcome(refusal=why, count=self._count)


def problem_of(target: Target, found: list[Change]) -> str:
    """What does not parse in the target's document with the changes, if they bring in an error; else ""."""
    text = target.document.text
    before = tree_of(text, target.language)
    after = tree_of(new := apply(text, found), target.language)
    if before is None or after is None or after.n_errors <= before.n_errors or target.language is None:
        return ""
    line, what = first_problem(new, target.language) or (0, "")
    quoted = new.split("\n")[line].strip() if line < new.count("\n") + 1 else ""
    return f"{what}, in the line `{quoted}`" if quoted else what

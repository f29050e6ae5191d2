"""One question to the model, within a job: an action's words, or a repair, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lsp_server.chat.answer import SYSTEM
from lsp_server.chat.template import Message, tokens
from lsp_server.errors import ModelError
from lsp_server.model.base import CHAT, Model
from lsp_server.model.generate import Generation, Prompt, StopRule, generate
from lsp_server.model.states import States
from lsp_server.model.worker import Steps

LEAST_ROOM = 64  # tokens of answer that must fit behind the question

OnText = Callable[[str], None]


@dataclass
class Count:
    """Tokens of an action's answers, and how many of them were decoded one by one."""

    n_tokens: int = 0
    n_single: int = 0

    def add(self, generation: Generation, n_forced: int = 0) -> None:
        """Count an answer, whose first `n_forced` tokens were given."""
        self.n_tokens += generation.n_tokens - n_forced
        self.n_single += generation.n_tokens - n_forced - generation.n_drafted_right


def ask(
    model: Model,
    turns: Sequence[Message],
    n_most: int,
    on_text: OnText,
    states: States,
    *,
    begins: str = "",
    forced: Sequence[int] = (),
    hints: Sequence[int] = (),
    stop: StopRule = lambda _: False,
    count: Count | None = None,
) -> Steps[Generation]:
    """Answer the last of the turns in at most `n_most` tokens.

    `states`: where the evaluated prompt is looked for and kept, so that another action on the same code, or the chat
    that was there before, need not evaluate it again. `begins`: what the answer begins with, as text; `forced`: the
    same as token ids. Raises ModelError when the turns and `n_most` tokens do not fit, or when the model holds no
    conversations.
    """
    prompt = tokens(model, [Message("system", SYSTEM), *turns])
    first = [*model.tokenize(begins), *forced]
    room = model.info.n_ctx - len(prompt) - len(first) - 8
    if room < max(LEAST_ROOM, n_most * 2 // 3):
        raise ModelError(
            f"This is too long: {len(prompt)} tokens, and as many for the answer; the model holds {model.info.n_ctx}",
            "Select less code, or raise `kruk.contextSize`.",
        )

    def hear(text: str) -> bool:
        on_text(text)
        return stop(text)

    states.prepare(model, CHAT, [*prompt, *first])
    generation = yield from generate(
        model, CHAT, Prompt(tuple(prompt)), len(first) + min(n_most, room), hear, forced=first, hints=hints
    )
    states.prepare(model, CHAT, ())  # keeps what is there: the sequence may be needed for something else
    if count:
        count.add(generation, len(first))
    return generation

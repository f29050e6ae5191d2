"""The model's answer to a conversation, as a job that streams its text."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lsp_server.chat import language
from lsp_server.chat.conversation import Conversation, Prompted, Turn, prompt
from lsp_server.chat.markdown import harmless
from lsp_server.model.base import CHAT, Model
from lsp_server.model.generate import Generation, Prompt, generate
from lsp_server.model.states import States
from lsp_server.model.worker import Steps

SYSTEM = "You are Kruk, a careful programming assistant that runs on the user's own machine."
MAX_ANSWER_TOKENS = 1024
ANSWER_SHARE = 0.3  # of the room, kept for the answer at least
LOOP_CHARS = 400  # of text that only repeats itself, four times at least, are enough
LOOP_MOST = 1600  # characters that are looked at for it


@dataclass(frozen=True)
class Answer:
    """What came out, and of what. `ended_by`: "model", "length", or "repetition"."""

    text: str
    ended_by: str
    generation: Generation
    prompted: Prompted

    def as_dict(self, problems: Sequence[str]) -> dict[str, Any]:
        """It as JSON, with all that was shown and that was not. problems: of the mentions."""
        return {
            "text": self.text,
            "endedBy": self.ended_by,
            "tokens": self.generation.n_tokens,
            "promptTokens": len(self.prompted.token_ids),
            "reusedTokens": self.generation.evaluation.n_reused,
            "note": note_of(self.prompted, problems),
            "seen": [
                {"mention": it.mention, "title": it.title, "lines": it.lines, "tokens": it.n_tokens, "cut": it.cut}
                for it in self.prompted.seen
            ],
            "notShown": list(problems),
            "droppedTurns": self.prompted.n_dropped,
            "cutCharacters": self.prompted.n_cut,
        }


def note_of(prompted: Prompted, problems: Sequence[str]) -> str:
    """One line: what the model sees, and what it does not; "" when it sees the conversation and nothing else."""
    note = f"{prompted} Not shown: {' '.join(problems)}" if problems else str(prompted)
    return " ".join(note.split())


def answer(
    conversation: Conversation,
    turns: Sequence[Turn],
    states: States,
    *,
    answer_language: str = "",
    n_reserved: int = 0,
    on_prompt: Callable[[Prompted], None] = lambda _: None,
    on_text: Callable[[str], None] = lambda _: None,
) -> Callable[[Model], Steps[Answer]]:
    """Make the work of answering the last turn.

    answer_language: a code such as "pl", or a name; "" means the question's.
    n_reserved: tokens of the KV cache that others need. `on_prompt` hears what the model sees, and `on_text` each
    new piece of text; both on the model's thread.
    """

    def start(model: Model) -> Steps[Answer]:
        n_room = max(model.info.n_ctx - n_reserved, model.info.n_ctx // 2)
        given = list(turns)
        words = given.pop(0).text if given[0].role == "system" else SYSTEM
        given = [replace(turn, wish=language.wish(turn.text, answer_language)) for turn in given]
        prompted = prompt(model, conversation, words, given, int((1 - ANSWER_SHARE) * n_room))
        on_prompt(prompted)
        states.prepare(model, CHAT, prompted.token_ids)
        said = io.StringIO()

        def hear(text: str) -> bool:
            said.write(text)
            on_text(text)
            return is_loop(said.getvalue())

        n_most = min(n_room - len(prompted.token_ids), MAX_ANSWER_TOKENS)
        generation = yield from generate(model, CHAT, Prompt(prompted.token_ids), n_most, hear)
        text = generation.text.strip()
        # Any of these may come back as this turn's text: as it is, as it was returned, as it streamed.
        for shown in (text, harmless(text), harmless(generation.text).strip()):
            conversation.said[shown] = tuple(step.token_id for step in generation.steps)
        states.prepare(model, CHAT, ())  # keeps what is there: the sequence may be needed for something else
        ended_by = "repetition" if generation.ended_by == "rule" else generation.ended_by
        return Answer(text, ended_by, generation, prompted)

    return start


def is_loop(text: str) -> bool:
    """Whether a text has come to repeat itself, as small models do."""
    tail = text[-LOOP_MOST:]
    at = tail.rfind(tail[-32:], 0, len(tail) - 1)
    period = len(tail) - 32 - at
    n = max(LOOP_CHARS, 4 * period)
    return at >= 0 and n <= len(tail) and tail[-n:-period] == tail[-n + period :]

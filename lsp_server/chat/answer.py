"""The model's answer to a conversation, as a job that streams its text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lsp_server.chat.template import Message, tokens
from lsp_server.errors import ModelError
from lsp_server.model.base import CHAT, Model
from lsp_server.model.generate import Generation, Prompt, generate
from lsp_server.model.worker import Steps

SYSTEM = "You are Kruk, a careful programming assistant that runs on the user's own machine."
MAX_ANSWER_TOKENS = 512


def answer(messages: Sequence[Message], on_text: Callable[[str], None]) -> Callable[[Model], Steps[Generation]]:
    """Make the work of answering. `on_text` hears each new piece of text, on the model's thread."""

    def start(model: Model) -> Steps[Generation]:
        turns = messages if messages and messages[0].role == "system" else [Message("system", SYSTEM), *messages]
        prompt = tokens(model, turns)
        room = model.info.n_ctx - len(prompt) - 8
        if room < 32:
            raise ModelError(
                f"The text is too long: {len(prompt)} tokens, and the model holds {model.info.n_ctx}",
                "Select less code, or raise `kruk.contextSize`.",
            )

        def hear(text: str) -> bool:
            on_text(text)
            return False

        return (yield from generate(model, CHAT, Prompt(tuple(prompt)), min(room, MAX_ANSWER_TOKENS), hear))

    return start

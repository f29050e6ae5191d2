"""Explain, and every other action whose answer is text."""

from __future__ import annotations

import io
from collections.abc import Callable

from lsp_server.actions.ask import OnText, ask
from lsp_server.chat.answer import is_loop
from lsp_server.chat.template import Message
from lsp_server.model.base import Model
from lsp_server.model.generate import Generation
from lsp_server.model.states import States
from lsp_server.model.worker import Steps

MAX_TOKENS = 512


def explain(words: str, states: States, on_text: OnText) -> Callable[[Model], Steps[Generation]]:
    """Make the work of answering in words. `on_text` hears them, on the model's thread."""

    def start(model: Model) -> Steps[Generation]:
        said = io.StringIO()

        def repeats(text: str) -> bool:
            said.write(text)
            return is_loop(said.getvalue())

        return (yield from ask(model, [Message("user", words)], MAX_TOKENS, on_text, states, stop=repeats))

    return start

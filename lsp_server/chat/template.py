"""A conversation as token ids, in the format of the model's family.

Control tokens are put in by number; what people and files say is tokenised as plain text, so that a text
cannot impersonate a turn. Sources: the model cards; llama.cpp's llama-chat.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lsp_server.errors import ModelError
from lsp_server.model.base import Model


@dataclass(frozen=True)
class Message:
    """One turn. `role` is "system", "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True)
class Template:
    """How a family writes turns. `{role}` and `{content}` are filled in; the rest is the format."""

    turn: str
    answer: str  # what the assistant's turn begins with
    roles: tuple[tuple[str, str], ...] = ()  # the family's own names for roles
    begin: str = ""
    has_system: bool = True  # otherwise the system's text opens the first user turn


TEMPLATES = {
    "chatml": Template("<|im_start|>{role}\n{content}<|im_end|>\n", "<|im_start|>assistant\n"),
    "llama3": Template(
        "<|start_header_id|>{role}<|end_header_id|>\n\n{content}<|eot_id|>",
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        begin="<|begin_of_text|>",
    ),
    "gemma": Template(
        "<start_of_turn>{role}\n{content}<end_of_turn>\n",
        "<start_of_turn>model\n",
        roles=(("assistant", "model"),),
        begin="<bos>",
        has_system=False,
    ),
    "granite": Template(
        "<|start_of_role|>{role}<|end_of_role|>{content}<|end_of_text|>\n",
        "<|start_of_role|>assistant<|end_of_role|>",
    ),
    "phi": Template("<|{role}|>{content}<|end|>", "<|assistant|>"),
}


def tokens(model: Model, messages: Sequence[Message]) -> list[int]:
    """Token ids of a conversation, up to where the assistant's answer begins.

    Raises ModelError when the model is no chat model, or one whose format is not known.
    """
    template = TEMPLATES.get(model.info.chat_family or "")
    if template is None or not model.info.is_instruct:
        raise ModelError(
            f"`{model.info.name}` cannot hold a conversation: it is not an instruct model that Kruk knows",
            "Set `kruk.chatModel` or `kruk.model` to an instruct model, such as `qwen2.5-coder-0.5b-instruct`.",
        )
    names = dict(template.roles)
    ids = _literal(model, template.begin)
    for message in _merged(messages, template):
        filled = template.turn.replace("{role}", names.get(message.role, message.role))
        before, after = filled.split("{content}")
        ids += _literal(model, before)
        ids += model.tokenize(message.content)
        ids += _literal(model, after)
    return ids + _literal(model, template.answer)


def _merged(messages: Sequence[Message], template: Template) -> list[Message]:
    """Where a family has no system role, its text goes in front of the first turn."""
    if template.has_system or not messages or messages[0].role != "system":
        return list(messages)
    system, *others = messages
    if not others:
        return [Message("user", system.content)]
    return [Message(others[0].role, f"{system.content}\n\n{others[0].content}"), *others[1:]]


def _literal(model: Model, text: str) -> list[int]:
    """Tokenise a piece of the format: control tokens by number, the words between as text."""
    ids: list[int] = []
    for piece in re.split(r"(<[^<>\n]+>)", text):
        control = model.token_id(piece) if piece else None
        ids += [control] if control is not None else model.tokenize(piece)
    return ids

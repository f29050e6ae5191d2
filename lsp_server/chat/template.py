"""A conversation as token ids, in the format of the model's family.

Control tokens are put in by number; what people and files say is tokenised as plain text, so that a text
cannot impersonate a turn. Sources: the model cards; llama.cpp's llama-chat.cpp. A model of a family that is not
here is asked in the Jinja template of its own file (see jinja.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from lsp_server.chat import jinja
from lsp_server.errors import KrukError, ModelError
from lsp_server.model import gguf
from lsp_server.model.base import Model

_CONTROL = re.compile(r"(<[^<>\n]+>|\[/?[A-Z_]+\])")


@dataclass(frozen=True)
class Message:
    """One turn. `role` is "system", "user" or "assistant"; `token_ids` are what the model itself said in it."""

    role: str
    content: str
    token_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Format:
    """How a family writes turns: `{}` is the content, the rest is literal.

    `signs` are all in the Jinja template of such a model, `tokens` all in its vocabulary: they tell the variants
    of a family apart. `marks` have a meaning although they are ordinary text.
    """

    name: str
    family: str
    user: str
    assistant: str
    system: str = ""  # where there is no such turn, its text opens the first turn of the user
    begin: str = ""
    trims: bool = False
    signs: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()

    @property
    def answer(self) -> str:
        """What the assistant's turn begins with. The space before a word belongs to its token."""
        return self.assistant.partition("{}")[0].rstrip(" ")


def _alike(
    name: str, family: str, turn: str, *, begin: str = "", trims: bool = False, **signs: tuple[str, ...]
) -> Format:
    """Make a format that writes every turn alike, but for its role."""
    roles = {role: turn.replace("{role}", role) for role in ("system", "user", "assistant")}
    return Format(name, family, roles["user"], roles["assistant"], roles["system"], begin, trims, **signs)


_INSTRUCTION, _RESPONSE = "### Instruction:", "### Response:"
_BEGIN, _END = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
_NO_THOUGHT = "<think>\n\n</think>\n\n"

FORMATS = (  # of two that fit, the first counts
    _alike("remote", "remote", "<|turn:{role}|>{}<|turn:end|>"),  # of no model: model/remote.py reads it back
    _alike("phi4", "phi", "<|im_start|>{role}<|im_sep|>{}<|im_end|>", signs=("<|im_sep|>",), tokens=("<|im_sep|>",)),
    Format(
        "chatml-thinking", "chatml", "<|im_start|>user\n{}<|im_end|>\n",
        f"<|im_start|>assistant\n{_NO_THOUGHT}{{}}<|im_end|>\n", "<|im_start|>system\n{}<|im_end|>\n",
        signs=("<|im_start|>", "enable_thinking"), tokens=("<think>",),
    ),
    _alike("chatml", "chatml", "<|im_start|>{role}\n{}<|im_end|>\n", signs=("<|im_start|>", "<|im_end|>")),
    _alike(
        "llama3", "llama3", "<|start_header_id|>{role}<|end_header_id|>\n\n{}<|eot_id|>",
        begin="<|begin_of_text|>", trims=True, signs=("<|start_header_id|>", "<|eot_id|>"),
    ),
    Format(
        "gemma", "gemma", "<start_of_turn>user\n{}<end_of_turn>\n", "<start_of_turn>model\n{}<end_of_turn>\n",
        begin="<bos>", trims=True, signs=("<start_of_turn>", "<end_of_turn>"),
    ),
    Format(
        "mistral-v7-tekken", "mistral", "[INST]{}[/INST]", "{}</s>", "[SYSTEM_PROMPT]{}[/SYSTEM_PROMPT]", "<s>",
        signs=("[SYSTEM_PROMPT]'", "[INST]'"), tokens=("[SYSTEM_PROMPT]", "<SPECIAL_20>"),
    ),
    Format(
        "mistral-v7", "mistral", "[INST] {}[/INST]", " {}</s>", "[SYSTEM_PROMPT] {}[/SYSTEM_PROMPT]", "<s>",
        signs=("[SYSTEM_PROMPT]", "[INST]"), tokens=("[SYSTEM_PROMPT]",),
    ),
    Format(
        "mistral-v3-tekken", "mistral", "[INST]{}[/INST]", "{}</s>", begin="<s>",
        signs=("[AVAILABLE_TOOLS]", '"[INST]"'), tokens=("[INST]", "<SPECIAL_20>"),
    ),
    Format(
        "mistral-v3", "mistral", "[INST] {}[/INST]", " {}</s>", begin="<s>",
        signs=("[AVAILABLE_TOOLS]", "[INST]"), tokens=("[INST]",),
    ),
    Format(
        "mistral-v1", "mistral", " [INST] {} [/INST]", " {}</s>", begin="<s>",
        signs=("' [INST] '", " [/INST]'"), marks=("[INST]", "[/INST]"),
    ),
    Format(
        "deepseek", "deepseek", f"{_INSTRUCTION}\n{{}}\n", f"{_RESPONSE}\n{{}}\n<|EOT|>\n", "{}", _BEGIN,
        signs=(_INSTRUCTION, "<|EOT|>"), marks=(_INSTRUCTION, _RESPONSE),
    ),
    Format(
        "deepseek3", "deepseek2", "<｜User｜>{}", f"<｜Assistant｜>{{}}{_END}", "{}\n\n", _BEGIN,
        signs=("<｜User｜>", "<｜Assistant｜>"), tokens=("<｜User｜>", "<｜▁pad▁｜>"),
    ),
    Format(
        "deepseek2", "deepseek2", "User: {}\n\n", f"Assistant: {{}}{_END}", "{}\n\n", _BEGIN,
        signs=("'User: '", "'Assistant: '"), marks=("User: ", "Assistant: "),
    ),
    _alike(
        "granite", "granite", "<|start_of_role|>{role}<|end_of_role|>{}<|end_of_text|>\n",
        signs=("<|start_of_role|>", "<|end_of_role|>"),
    ),
    _alike(
        "phi4-mini", "phi", "<|{role}|>{}<|end|>",
        signs=("<|assistant|>'", "<|end|>'", "<|tool_call|>"), tokens=("<|tool_call|>",),
    ),
    _alike("phi3", "phi", "<|{role}|>\n{}<|end|>\n", signs=("<|user|>", "<|assistant|>", "<|end|>")),
)  # fmt: skip


def tokens(model: Model, messages: Sequence[Message]) -> list[int]:
    """Token ids of a conversation, up to where the assistant's answer begins.

    Raises ModelError when the model is no chat model, or one whose format is not known.
    """
    info = model.info
    if not info.is_instruct:
        raise ModelError(
            f"`{info.name}` cannot hold a conversation: it is not an instruct model",
            "Set `kruk.model` to an instruct model, such as `qwen2.5-coder-0.5b-instruct`.",
        )
    format_ = format_of(model)
    if format_ is None:
        return _in_its_own_template(model, messages)
    begin = info.bos if info.bos is not None else model.token_id(format_.begin)
    ids = [] if begin is None else [begin]
    for message in messages if format_.system else _merged(messages):
        before, after = {"user": format_.user, "assistant": format_.assistant}.get(
            message.role, format_.system
        ).split("{}")
        opening = before.rstrip(" ")
        content = message.content.strip() if format_.trims else message.content
        ids += _literal(model, opening)
        ids += message.token_ids or _plain(model, before[len(opening) :] + content, format_.marks)
        ids += _literal(model, after)
    return ids + _literal(model, format_.answer)


def format_of(model: Model) -> Format | None:
    """The format of a model: that of its Jinja template, else of its row in models.json and its vocabulary."""
    family = model.info.chat_family
    candidates = [format_ for format_ in FORMATS if format_.family == family] if family else list(FORMATS)
    if len(candidates) > 1 and (template := _own(model.info.path).template):
        for format_ in candidates:
            if format_.signs and all(sign in template for sign in format_.signs):
                return format_
    if not family:
        return None
    return next(
        (found for found in candidates if all(model.token_id(text) is not None for text in found.tokens)), None
    )


class _Own(NamedTuple):
    """What a model's file says itself: a Jinja template, "" when there is none, and the ids of two tokens."""

    template: str = ""
    bos: int | None = None
    eos: int | None = None


@lru_cache(maxsize=4)
def _own(path: Path) -> _Own:
    try:
        header = gguf.read_header(path, frozenset())
    except (KrukError, OSError):
        return _Own()
    ids = (header.metadata.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos"))
    return _Own(header.chat_template, *(i if isinstance(i, int) else None for i in ids))


def _in_its_own_template(model: Model, messages: Sequence[Message]) -> list[int]:
    """Token ids by the Jinja template of the model's file. It sees no text of people, only placeholders for it."""
    own = _own(model.info.path)
    if not own.template:
        raise ModelError(
            f"`{model.info.name}` cannot hold a conversation: its chat format is not known",
            "Set `kruk.model` to another instruct model, such as `qwen2.5-coder-0.5b-instruct`.",
        )
    try:
        parts = jinja.render(own.template, tuple(message.role for message in messages))
    except jinja.TemplateFailed:
        if not messages or messages[0].role != "system":
            raise
        messages = _merged(messages)
        parts = jinja.render(own.template, tuple(message.role for message in messages))
    ids: list[int] = []
    for part in parts:
        if isinstance(part, int):
            ids += messages[part].token_ids or model.tokenize(messages[part].content)
        elif part in (jinja.BOS, jinja.EOS):
            token_id = own.bos if part == jinja.BOS else own.eos
            ids += [] if token_id is None else [token_id]
        else:
            ids += _literal(model, part)
    return ids if model.info.bos is None or ids[:1] == [model.info.bos] else [model.info.bos, *ids]


def _merged(messages: Sequence[Message]) -> list[Message]:
    """Where a family has no system turn, its text goes in front of the first turn."""
    if not messages or messages[0].role != "system":
        return list(messages)
    system, *others = messages
    if not others:
        return [Message("user", system.content)]
    return [replace(others[0], content=f"{system.content}\n\n{others[0].content}"), *others[1:]]


def _literal(model: Model, text: str) -> list[int]:
    """Tokenise a piece of the format: control tokens by number, the words between as text."""
    ids: list[int] = []
    for piece in _CONTROL.split(text):
        control = model.token_id(piece) if piece else None
        ids += [control] if control is not None else model.tokenize(piece)
    return ids


def _plain(model: Model, text: str, marks: Sequence[str]) -> list[int]:
    """Tokenise what somebody says. A mark in it is taken apart: it reads as it stands, and is not the mark."""
    if not any(mark in text for mark in marks):
        return model.tokenize(text)
    ids: list[int] = []
    for piece in re.split(f"({'|'.join(map(re.escape, marks))})", text):
        for part in piece if piece in marks else [piece]:
            ids += model.tokenize(part)
    return ids

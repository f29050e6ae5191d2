"""A conversation as a prompt, such that each turn's prompt extends the one before, as long as it fits.

The client has the text of all turns and sends it each time. Here is kept what text alone does not say: how a
question was shown to the model, and which tokens an answer consisted of. What is lost costs time and nothing else.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lsp_server.chat.excerpt import Excerpt, Seen, show
from lsp_server.chat.template import Message, tokens
from lsp_server.errors import ModelError
from lsp_server.model.base import Model
from lsp_server.model.states import States

MAX_CONVERSATIONS = 32
STATE_BYTES = 96 << 20  # for all conversations: 8,000 tokens with the default model
EXCERPT_SHARE = 0.7  # of the room, for what one question brings along
KEPT_SHARE = 0.6  # of the room, once turns have to be dropped: room for some turns, which then extend the prompt
LEAST_TOKENS = 64


@dataclass(frozen=True)
class Turn:
    """What somebody said. `role` is "system", "user" or "assistant"; `wish` is said to the model after it."""

    role: str
    text: str
    excerpts: tuple[Excerpt, ...] = ()
    wish: str = ""


@dataclass
class Conversation:
    """What is remembered of one conversation. Changed on the model's thread."""

    shown: dict[bytes, tuple[str, list[Seen]]] = field(default_factory=dict)  # by the turns up to the question
    said: dict[str, tuple[int, ...]] = field(default_factory=dict)  # by the answer's text
    n_dropped: int = 0
    model_key: bytes = b""


class Conversations:
    """All conversations of a session, by an id of the client's; the one used last stays longest."""

    def __init__(self) -> None:
        self._all: OrderedDict[str, Conversation] = OrderedDict()
        self.states = States(None, STATE_BYTES)
        self.answering: set[str] = set()  # chat documents that are being written to
        self.selection: Any = None  # what the user selected last in a file, as the protocol has it
        self.diagnosed: Any = None  # and where there were diagnostics

    def of(self, name: str) -> Conversation:
        """The conversation of that id, a new one perhaps."""
        conversation = self._all.setdefault(name, Conversation())
        self._all.move_to_end(name)
        while len(self._all) > MAX_CONVERSATIONS:
            self._all.popitem(last=False)
        return conversation


@dataclass(frozen=True)
class Prompted:
    """A prompt, and what of the conversation is in it."""

    token_ids: tuple[int, ...]
    seen: tuple[Seen, ...]
    n_dropped: int
    n_cut: int  # characters taken out of the middle of the newest turn

    def __str__(self) -> str:
        """What the model sees, in one line; "" when that is all there is."""
        parts = []
        if self.seen:
            parts.append(f"Seen: {'; '.join(map(str, self.seen))}.")
        if self.n_dropped:
            parts.append(f"The {self.n_dropped} oldest turns no longer fit and were left out.")
        if self.n_cut:
            parts.append(f"Your message is too long: {self.n_cut:,} characters in its middle were left out.")
        return " ".join(parts)


def prompt(model: Model, conversation: Conversation, system: str, turns: Sequence[Turn], n_most: int) -> Prompted:
    """Make the prompt that asks for the next answer, in `n_most` tokens at most.

    When it is too long the oldest turns go, not the system's words and not the newest. Raises ModelError when there
    is no room for even a part of the newest, or the model is none for conversations.
    """
    if conversation.model_key != model.state_key:
        vars(conversation).update(vars(Conversation(model_key=model.state_key)))
    first = Message("system", system)
    room = n_most - len(tokens(model, [first, Message("user", "")]))
    if room < LEAST_TOKENS:
        raise ModelError(
            f"There is no room for a question: the model holds {model.info.n_ctx} tokens", "Raise `kruk.contextSize`."
        )
    messages, seen = _messages(model, conversation, turns, room)
    token_ids = tokens(model, [first, *messages])
    n_dropped = 0
    if len(token_ids) > n_most:
        n_dropped = _drop(messages, conversation.n_dropped)
        token_ids = tokens(model, [first, *messages[n_dropped:]])
        while len(token_ids) > (n_most if n_dropped == conversation.n_dropped else KEPT_SHARE * n_most):
            if n_dropped == len(messages) - 1:
                break
            n_dropped = _drop(messages, n_dropped + 1)
            token_ids = tokens(model, [first, *messages[n_dropped:]])
    conversation.n_dropped = n_dropped
    n_cut = 0
    if len(token_ids) > n_most:
        newest, n_cut = _cut(model, first, messages[-1], n_most)
        token_ids = tokens(model, [first, newest])
    return Prompted(tuple(token_ids), tuple(seen), n_dropped, n_cut)


def _messages(
    model: Model, conversation: Conversation, turns: Sequence[Turn], room: int
) -> tuple[list[Message], list[Seen]]:
    """The turns as the model is shown them, and what it sees with the newest one."""
    messages, seen, digest = [], list[Seen](), hashlib.blake2b(digest_size=16)
    for turn in turns:
        digest.update(f"{turn.role}\0{turn.text}\0".encode("utf-8", "replace"))
        if turn.role == "assistant":
            messages.append(Message(turn.role, turn.text, conversation.said.get(turn.text, ())))
            continue
        known = conversation.shown.get(digest.digest()) if turn is not turns[-1] else None
        content, seen = known or show(model, turn.text, turn.excerpts, int(EXCERPT_SHARE * room))
        conversation.shown[digest.digest()] = content, seen
        messages.append(Message(turn.role, f"{content}\n\n{turn.wish}" if turn.wish else content))
    return messages, seen


def _drop(messages: Sequence[Message], n_least: int) -> int:
    """How many turns to drop so that what is left begins with a question."""
    n = min(n_least, len(messages) - 1)
    while n < len(messages) - 1 and messages[n].role == "assistant":
        n += 1
    return n


def _cut(model: Model, first: Message, newest: Message, n_most: int) -> tuple[Message, int]:
    """Cut a turn in its middle, to the longest that fits. Returns it, and how many characters that took."""
    text = newest.content

    def cut(n_kept: int) -> Message:
        head, tail = text[: n_kept // 2], text[len(text) - (n_kept - n_kept // 2) :]
        return Message(newest.role, f"{head}\n[… {len(text) - n_kept} characters left out …]\n{tail}")

    low, high = 0, min(len(text), n_most * 16)
    while low < high:
        middle = (low + high + 1) // 2
        if len(tokens(model, [first, cut(middle)])) <= n_most:
            low = middle
        else:
            high = middle - 1
    return cut(low), len(text) - low

"""A model that a server runs: llama.cpp's, Ollama, or one that speaks OpenAI's protocol.

Its tokens are not known here, so texts are cut into pieces of about their size, which get numbers as they come. A
prompt is a list of those and of control ids, which no text can become. What goes to the server is made of it: the
text in the FIM format of the model's family; its parts, where the family is not known and the server has to know
how to fill in; or the messages of a conversation, in whose format the server is trusted.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

from lsp_server.errors import ModelError, ServerError, nearest
from lsp_server.model.base import COMPLETION, Evaluation, FimIds, ModelInfo, Server, Speaker, Step, Vocabulary
from lsp_server.model.catalogue import Family, Fim, load_catalogue
from lsp_server.model.registry import is_base
from lsp_server.model.remote_http import Http, Lines, address_of
from lsp_server.model.remote_kinds import Kind, Messages, Piece, Question, find, parse
from lsp_server.settings import RemoteSettings

KEY_VARIABLE = "KRUK_REMOTE_KEY"
MAX_KEY_CHARS = 4096
FEW_TOKENS = 8  # that are not worth a question of their own
PART_TOKENS = 128  # a second on two cores
CHAT_FAMILY = "remote"  # a format of chat/template.py whose turns are read back here

_ROLES = {"<|turn:system|>": "system", "<|turn:user|>": "user", "<|turn:assistant|>": "assistant"}
_TURN_END = "<|turn:end|>"
_UNKNOWN_FIM = Fim(order="psm", prefix="<|kruk:prefix|>", suffix="<|kruk:suffix|>", middle="<|kruk:middle|>")

# A control token in a text of the user's would be one for the server too. This, put into it, takes it apart; it has
# no width, and is taken out of what the model says.
_JOINER = "\u2060"
_ANY_CONTROL = r"<[|｜][^<>\s]{1,40}[|｜]>|<(?:start|end)_of_turn>|\[/?[A-Z_]{3,24}\]"
# Of about a token's size: counted are what fits, and what is shown.
_PIECE = re.compile(r" ?[A-Za-z]{1,9}|\d|\n+[ \t]*|[ \t]+| ?[!-/:-@[-`{-~]{1,3}|[^\w\s]|\w{1,2}|\s", re.ASCII)


def connect(settings: RemoteSettings, n_ctx: int) -> Remote:
    """Ask the server what it is, and which model it has. n_ctx: as many tokens as are used at most.

    Raises ServerError when it cannot be reached, ModelError when the settings are not good.
    """
    http = Http(address_of(settings.url, settings.allows_non_local), _key(settings.key_file), settings.patience_s)
    try:
        kind = find(settings.kind, http.get, settings.model)
        if kind is None:
            raise http.nonsense()
        return Remote(http, kind, _family(settings.family, kind.model_names), n_ctx)
    except BaseException:
        http.close()
        raise


class Remote(Speaker):
    """A `Speaker` (see base.py) at an address."""

    def __init__(self, http: Http, kind: Kind, family: Family | None, n_ctx: int) -> None:
        self.http, self.kind = http, kind
        self._speaking: set[_Speech] = set()
        self._evaluated: list[int] = []
        self._fim = fim = family.fim if family else _UNKNOWN_FIM
        self.can_ask_again = fim is not _UNKNOWN_FIM  # or else the suffix is what the prompt ends with
        self._texts: list[str] = [*_ROLES, _TURN_END]
        if fim:
            self._texts += [*fim.tokens, *sorted(fim.markers - set(fim.tokens))]
        self._n_control = len(self._texts)
        self._ids = {text: i for i, text in enumerate(self._texts)}
        self._controls = re.compile("|".join([_ANY_CONTROL, *map(re.escape, self._texts)]))
        self._pieces: list[bytes] = [b""] * self._n_control
        self.vocabulary = Vocabulary(self._pieces)
        name = _plain_name(kind.model_names[0]) if kind.model_names else "the server's model"
        address = http.address
        self.info = ModelInfo(
            name=name,
            path=Path(),
            n_vocab=0,
            n_ctx=min(n_ctx, kind.n_ctx or n_ctx),
            n_threads=0,
            is_instruct=not any(is_base(name) for name in map(_plain_name, kind.model_names)),
            chat_family=CHAT_FAMILY,
            fim=self._fim_ids(fim),
            bos=None,  # servers put it there themselves
            control_texts=tuple(text for text in {*self._texts, *load_catalogue().markers()} if len(text) > 4),
            anchor_lines=fim.anchor_lines if fim else 8,
            can_truncate=False,
            server=Server(address.url, kind.name, address.is_local),
        )

    # -- tokens -------------------------------------------------------------------------------------------

    def tokenize(self, text: str) -> list[int]:
        """Pieces of about a token's size."""
        safe = self._controls.sub(lambda match: match[0][0] + _JOINER + match[0][1:], text)
        return [self._id(piece) for piece in _PIECE.findall(safe)]

    def token_id(self, text: str) -> int | None:
        """Return the id of a control text that this prompt format has."""
        found = self._ids.get(text)
        return found if found is not None and found < self._n_control else None

    def is_end(self, token_id: int) -> bool:
        """Every control text ends the output."""
        return token_id < self._n_control

    @cached_property
    def state_key(self) -> bytes:
        """Of the address and the model: nothing else is known."""
        return blake2b(repr((self.http.address.url, self.kind.model_names)).encode(), digest_size=32).digest()

    def step(self, piece: Piece) -> Step:
        """Number what the server said."""
        rival_id = self._id(piece.rival) if piece.rival else -1
        return Step(self._id(piece.text), piece.logprob, rival_id, piece.rival_logprob)

    def _id(self, text: str) -> int:
        found = self._ids.get(text)
        if found is None:
            found = self._ids[text] = len(self._texts)
            self._texts.append(text)
            self._pieces.append(text.encode("utf-8", "replace"))
        return found

    def _fim_ids(self, fim: Fim | None) -> FimIds | None:
        if fim is None:
            return None
        middle = self._ids[fim.middle] if fim.middle else None
        return FimIds(fim, self._ids[fim.prefix], self._ids[fim.suffix], middle)

    # -- speaking -----------------------------------------------------------------------------------------

    def speak(self, token_ids: Sequence[int], n_most: int) -> _Speech:
        """Ask the server to go on."""
        return _Speech(self, token_ids, n_most)

    def evaluate(self, sequence: int, token_ids: Sequence[int], n_logits: int = 1) -> Evaluation:
        """Have a server on this machine evaluate a suggestion's prompt, so that it need not when that is asked for.

        In parts, since such a server leaves none half done. What goes wrong is told to whoever asks next.
        Raises Aborted, and goes on where it was when it is called again.
        """
        is_able = self.kind.evaluates_ahead and self.can_ask_again and self.http.address.is_local
        if sequence == COMPLETION and is_able:
            pairs = zip(token_ids, self._evaluated, strict=False)
            n_done = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
            with contextlib.suppress(ModelError):
                while len(token_ids) - n_done > FEW_TOKENS:
                    n_done = min(n_done + PART_TOKENS, len(token_ids))
                    self._have_evaluated(token_ids[:n_done])
        return Evaluation(0, 0)

    def _have_evaluated(self, token_ids: Sequence[int]) -> None:
        with contextlib.closing(self.speak(token_ids, 0)) as speech:
            while speech.next():
                pass
        self._evaluated = list(token_ids)

    def abort(self) -> None:
        """End the wait for the server; the answer goes on."""
        self.http.abort()

    def allow(self) -> None:
        """Let it wait again."""
        self.http.allow()

    def close(self) -> None:
        """Close every connection."""
        self.http.close()

    def ask(self, speech: _Speech, token_ids: Sequence[int], n_most: int) -> tuple[str, Lines]:
        """Post a question; returns what its answer is begun with, and its lines.

        Whoever speaks already has to wait, where the server answers one question at a time.
        """
        if not self.kind.answers_several:
            for other in self._speaking - {speech}:
                other.pause()
        self._speaking.add(speech)
        self._evaluated = []
        begun, question = self._question(token_ids, n_most)
        return begun, self.http.post(question.path, question.body)

    def done(self, speech: _Speech) -> None:
        """Hear that a question is not on its way any more."""
        self._speaking.discard(speech)

    def _question(self, token_ids: Sequence[int], n_most: int) -> tuple[str, Question]:
        kind = self.kind
        if token_ids and self._texts[token_ids[0]] in _ROLES:
            messages = self._messages(token_ids)
            begun = messages[-1]["content"]
            return begun, kind.chat(messages if begun else messages[:-1], n_most)
        if self._fim is _UNKNOWN_FIM:
            _, head, suffix, tail = self._split(token_ids, _UNKNOWN_FIM.tokens)
            return "", kind.fill(head + tail, suffix, n_most)
        stop = (*self._fim.stop, *self._fim.stop_texts) if self._fim else ()
        return "", kind.go_on(self._text(token_ids), n_most, stop)

    def _messages(self, token_ids: Sequence[int]) -> Messages:
        messages: list[dict[str, str]] = []
        for is_control, group in itertools.groupby(token_ids, self.is_end):
            for text in map(self._texts.__getitem__, group) if is_control else [self._text(group)]:
                if not is_control:
                    messages[-1]["content"] += text
                elif text in _ROLES:
                    messages.append({"role": _ROLES[text], "content": ""})
        return messages

    def _split(self, token_ids: Sequence[int], at: Sequence[str]) -> list[str]:
        """The texts before the first of some control ids, between them, and behind the last."""
        places = [token_ids.index(self._ids[text]) for text in at]
        return [self._text(token_ids[a + 1 : b]) for a, b in itertools.pairwise([-1, *places, len(token_ids)])]

    def _text(self, token_ids: Iterable[int]) -> str:
        return "".join(self._texts[i] for i in token_ids)


class _Speech:
    """One answer of the server. It may be paused; then the server is asked again, with what it has said already."""

    def __init__(self, model: Remote, token_ids: Sequence[int], n_most: int) -> None:
        self.ended_by = ""
        self.evaluation = Evaluation(0, 0)
        self._model, self._token_ids, self._n_left = model, list(token_ids), n_most
        self._begun = ""  # what the answer begins with already; a server that says it again is not heard
        self._lines: Lines | None = None
        self._waiting: list[Piece] = []  # until it is clear whether the server begins anew
        self._ready: deque[Step] = deque()

    def next(self) -> Step | None:
        """Wait for the next piece. Raises Aborted, and goes on afterwards; ModelError when there is no answer."""
        until = self._model.http.deadline()
        while not self._ready and not self.ended_by:
            self._hear(until)
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        """Want no more: the connection is closed."""
        self._model.done(self)
        if self._lines:
            self._lines.close()
            self._lines = None

    def pause(self) -> None:
        """Let the server do something else."""
        self._waiting.clear()
        self.close()

    def _hear(self, until: float) -> None:
        """Take in one line."""
        http, kind = self._model.http, self._model.kind
        if self._lines is None:
            self._begun, self._lines = self._model.ask(self, self._token_ids, self._n_left)
        try:
            line = self._lines.next(until)
        except ModelError as error:
            if not kind.tells_probabilities or "prob" not in str(error):
                raise
            kind.tells_probabilities = False  # it does not know the word: ask again without
            self.close()
            return
        if line is None:
            what = f"`{http.address.url}` broke off in the middle of its answer"
            raise ServerError(what, "Kruk looks for the server again when you ask")
        try:
            said = parse(line)
            piece = kind.read(said) if said and "error" not in said else None
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            raise http.nonsense() from error
        if said and piece is None:
            raise http.complaint(said)
        if piece:
            self._take(replace(piece, text=piece.text.replace(_JOINER, "")))
        elif line.strip() == b"data: [DONE]":
            self._take(Piece("", ended_by="model"))

    def _take(self, piece: Piece) -> None:
        self.evaluation = piece.evaluation or self.evaluation
        self.ended_by = piece.ended_by
        self._waiting.append(piece)
        if self._begun:
            said = "".join(waiting.text for waiting in self._waiting)
            if said.startswith(self._begun):
                self._waiting = [replace(piece, text=said[len(self._begun) :])]
            elif self._begun.startswith(said) and not self.ended_by:
                return
            self._begun = ""
        for each in self._waiting:
            if each.text:
                step = self._model.step(each)
                self._ready.append(step)
                self._token_ids.append(step.token_id)
                self._n_left -= 1
        self._waiting.clear()
        if self._n_left <= 0:  # whatever the server thinks
            self.ended_by = self.ended_by or "length"


def _key(file: str) -> str:
    """The server's key, "" for none: from a file, or the environment. Raises ModelError."""
    key = os.environ.get(KEY_VARIABLE, "")
    if file:
        try:
            with Path(file).expanduser().open(encoding="utf-8") as stream:
                key = stream.read(MAX_KEY_CHARS)
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"The key file `{file}` cannot be read: {error}", "Correct `kruk.remote.keyFile`"
            ) from error
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise ModelError("The server's key is no line of plain characters", f"See `{KEY_VARIABLE}` or the key file")
    return key


def _family(wanted: str, names: Sequence[str]) -> Family | None:
    """The family of models.json that the model is of: the one named, or by the model's names."""
    catalogue = load_catalogue()
    if not wanted:
        return catalogue.family_named(*names)
    ids = [family.id for family in catalogue.families]
    if wanted not in ids:
        raise ModelError(f"There is no family `{wanted}` in models.json", nearest(wanted, ids) or f"It has {ids}")
    return catalogue.family(wanted)


def _plain_name(name: str) -> str:
    return re.split(r"[/\\]", name)[-1].removesuffix(".gguf")

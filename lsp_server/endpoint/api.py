"""What the endpoint answers: OpenAI's `/v1/completions` and `/v1/models`, and llama.cpp's `/infill`.

The answer is Kruk's own suggestion at the cursor that the prompt shows, not what the model would say to the prompt.
"""

from __future__ import annotations

import time
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec

from lsp_server.completion.request import CompletionRequest
from lsp_server.endpoint.documents import Documents
from lsp_server.endpoint.fim import Place, read_prompt
from lsp_server.endpoint.http import EVENTS, Call, Refused, Reply, converse
from lsp_server.session import Session

T = TypeVar("T")


class CompletionBody(msgspec.Struct, frozen=True):
    """`POST /v1/completions`. Without `suffix` the cursor is where the prompt's FIM tokens say."""

    prompt: str
    suffix: str | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None


class InfillBody(msgspec.Struct, frozen=True):
    """`POST /infill`. `n_predict`: -1 sets no limit. Other files in `input_extra` are not looked at."""

    input_prefix: str = ""
    input_suffix: str = ""
    prompt: str = ""
    n_predict: Annotated[int, msgspec.Meta(ge=-1)] | None = None
    stop: list[str] | None = None
    stream: bool | None = None


class Said(NamedTuple):
    """A suggestion, or why there is none; tokens of the prompt and of what the model said, 0 for what was known."""

    text: str
    reason: str | None
    n_prompt: int = 0
    n_said: int = 0


class Api:
    """The routes. What a client shows is kept as documents of the session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._documents = Documents(session.close)
        self._routes: dict[tuple[str, str], Callable[[bytes], Awaitable[Reply]]] = {
            ("GET", "/v1/models"): self._models,
            ("POST", "/v1/completions"): self._completions,
            ("POST", "/infill"): self._infill,
        }

    async def converse(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Answer one client until it has gone."""
        await converse(reader, writer, self._answer)

    async def _answer(self, call: Call) -> Reply:
        if handle := self._routes.get((call.method, call.path)):
            return await handle(call.body)
        methods = [method for method, path in self._routes if path == call.path]
        if methods:
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"`{call.path}` is asked with {methods[0]}")
        known = ", ".join(" ".join(route) for route in self._routes)
        raise Refused(HTTPStatus.NOT_FOUND, f"There is no `{call.path}`. There is: {known}")

    async def _models(self, _body: bytes) -> Reply:
        row = {"id": self._model_name, "object": "model", "created": 0, "owned_by": "kruk"}
        return Reply(msgspec.json.encode({"object": "list", "data": [row]}))

    async def _completions(self, body: bytes) -> Reply:
        asked = _decode(body, CompletionBody)
        place = read_prompt(asked.prompt) if asked.suffix is None else Place(asked.prompt, asked.suffix)
        stops = [asked.stop] if isinstance(asked.stop, str) else asked.stop
        said = await self._suggest(place, asked.max_tokens, stops)
        answer = {
            "id": f"cmpl-{time.time_ns()}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": self._model_name,
            "choices": [{"index": 0, "text": said.text, "logprobs": None, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": said.n_prompt,
                "completion_tokens": said.n_said,
                "total_tokens": said.n_prompt + said.n_said,
            },
            "reason": said.reason,
        }
        return _reply(answer, asked.stream, b"data: [DONE]\n\n")

    async def _infill(self, body: bytes) -> Reply:
        asked = _decode(body, InfillBody)
        place = Place(asked.input_prefix + asked.prompt, asked.input_suffix)
        said = await self._suggest(place, None if asked.n_predict == -1 else asked.n_predict, asked.stop)
        answer = {
            "content": said.text,
            "stop": True,
            "model": self._model_name,
            "tokens_evaluated": said.n_prompt,
            "tokens_predicted": said.n_said,
            "reason": said.reason,
        }
        return _reply(answer, asked.stream)

    async def _suggest(self, place: Place, n_most: int | None, stops: list[str] | None) -> Said:
        """Suggest at a place. Raises Refused when there is no model."""
        if n_most == 0:  # llama.vim shows what it may soon ask about
            return Said("", "no tokens were asked for")
        session = self._session
        known = self._documents.put(place)
        request = CompletionRequest(known.document, known.cursor, known.path, "automatic", n_most=n_most)
        trace = session.new_trace(known.document.uri, "automatic")
        text = await session.suggest(request, trace)
        if text is None:
            return Said("", "superseded by a newer request")
        status = session.worker.status
        if not text and status.state == "error":
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, status.message)
        rooms = {room["room"]: room for room in trace.as_dict()["rooms"]}
        n_prompt = rooms.get("prompt", {}).get("promptTokens", 0)
        return Said(_before(stops or [], text), trace.reason, n_prompt, rooms.get("model", {}).get("tokens", 0))

    @property
    def _model_name(self) -> str:
        model = self._session.worker.model
        return model.info.name if model else self._session.settings.model or "kruk"


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(
            HTTPStatus.BAD_REQUEST, f"The request cannot be read: {error}. Send it as OpenAI's API says"
        ) from error


def _before(stops: list[str], text: str) -> str:
    """The text before the first stop in it."""
    return text[: min((at for stop in stops if stop and (at := text.find(stop)) >= 0), default=None)]


def _reply(answer: dict[str, Any], is_streamed: bool | None, end: bytes = b"") -> Reply:
    """The answer as JSON, or as a stream of one event: all of a suggestion is checked before any of it is shown."""
    page = msgspec.json.encode(answer)
    return Reply(b"data: " + page + b"\n\n" + end, kind=EVENTS) if is_streamed else Reply(page)

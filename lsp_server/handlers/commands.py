"""workspace/executeCommand, kruk/chat: what a user asks for by name."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from lsp_server import protocol
from lsp_server.actions.explain import explain
from lsp_server.chat.answer import answer
from lsp_server.chat.template import Message
from lsp_server.errors import KrukError, nearest
from lsp_server.handlers import status
from lsp_server.jsonrpc import INVALID_PARAMS, RpcError
from lsp_server.model import registry
from lsp_server.model.worker import Urgency
from lsp_server.protocol import COMMANDS, ChatParams, Client, ExecuteCommandParams, Lsp, Range
from lsp_server.session import Session

STREAM_PERIOD_S = 0.05  # one progress message for all tokens in so much time


class ExplainArguments(Lsp, frozen=True):
    """The argument of `kruk.explain`. Without a range: the whole document."""

    uri: str
    range: Range | None = None


async def execute(session: Session, client: Client, params: ExecuteCommandParams) -> Any:
    """Run one of our commands."""
    first = params.arguments[0] if params.arguments else None
    if params.command == "kruk.explain":
        return await _explain(session, client, first, params.work_done_token)
    if params.command == "kruk.status":
        return status.as_dict(session)
    if params.command == "kruk.toggle":
        return toggle(session)
    if params.command == "kruk.useModel":
        return await use_model(session, first)
    if params.command == "kruk.accepted":
        session.n_accepted += 1
        return None
    raise RpcError(
        INVALID_PARAMS, f"Unknown command `{params.command}`. {nearest(params.command, COMMANDS)}".rstrip()
    )


async def chat(session: Session, params: ChatParams) -> dict[str, Any]:
    """Answer a conversation; the text streams as `$/progress` and is returned whole."""
    messages = [Message(message.role, message.content) for message in params.messages]
    return await _converse(session, messages, params.work_done_token, "Chat")


def toggle(session: Session) -> dict[str, Any]:
    """Switch completions off, or on again, for this session."""
    is_enabled = not session.settings.completion.enabled
    session.choose("completion.enabled", is_enabled)
    session.tell("kruk/didChangeStatus", status.as_dict(session))
    return {"enabled": is_enabled}


async def use_model(session: Session, name: object) -> dict[str, Any]:
    """Load another model for this session. The one that is loaded stays when the name is wrong."""
    if not isinstance(name, str) or not name.strip():
        raise RpcError(
            INVALID_PARAMS, "kruk.useModel wants one argument: the id of a model, or the path of a GGUF file"
        )
    try:
        await asyncio.get_running_loop().run_in_executor(None, registry.locate, name.strip())
    except KrukError as error:
        raise RpcError(INVALID_PARAMS, str(error)) from error
    session.choose("model", name.strip())
    session.ensure_model()
    return status.as_dict(session)


async def _explain(session: Session, client: Client, argument: object, token: int | str | None) -> dict[str, Any]:
    wanted = msgspec.convert(argument if argument is not None else {}, ExplainArguments)
    document = session.documents.get(wanted.uri)
    if document is None:
        raise RpcError(INVALID_PARAMS, f"`{wanted.uri}` is not open. Open the file in the editor first.")
    code = document.text
    if wanted.range:
        start = protocol.offset(document, wanted.range.start, client)
        code = code[start : protocol.offset(document, wanted.range.end, client)] or code
    messages = explain(code, document.language_id, session.settings.answer_language)
    return await _converse(session, messages, token, "Explain")


async def _converse(
    session: Session, messages: Sequence[Message], token: int | str | None, title: str
) -> dict[str, Any]:
    """Run a conversation on the model, streaming to the progress token when the client gave one."""
    stream = _Stream(session, token, title)
    try:
        job = session.worker.submit(Urgency.CHAT, answer(messages, stream.hear))
        generation = await asyncio.wrap_future(job)
    except KrukError as error:
        raise RpcError(INVALID_PARAMS, str(error)) from error
    finally:
        stream.end()
    return {"text": generation.text.strip(), "endedBy": generation.ended_by, "tokens": generation.n_tokens}


class _Stream:
    """Text from the model's thread to `$/progress`, several tokens at a time."""

    def __init__(self, session: Session, token: int | str | None, title: str) -> None:
        self._session, self._token = session, token
        self._loop = asyncio.get_running_loop()
        self._unsent = ""
        self._timer: asyncio.TimerHandle | None = None
        self._send({"kind": "begin", "title": title, "cancellable": True})

    def hear(self, text: str) -> None:
        self._loop.call_soon_threadsafe(self._hear, text)

    def end(self) -> None:
        self._flush()
        self._send({"kind": "end"})
        self._token = None

    def _hear(self, text: str) -> None:
        self._unsent += text
        if self._timer is None:
            self._timer = self._loop.call_later(STREAM_PERIOD_S, self._flush)

    def _flush(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._unsent:
            self._send({"kind": "report", "message": self._unsent})
            self._unsent = ""

    def _send(self, value: dict[str, Any]) -> None:
        if self._token is not None:
            self._session.tell("$/progress", {"token": self._token, "value": value})

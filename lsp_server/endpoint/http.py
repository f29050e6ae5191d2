"""HTTP with one client: which requests are let in, and the end of those whose client has gone. h11 does the protocol.

Any web page can have its browser send requests to a loopback port. So whatever names an origin, another host or
another type than JSON is refused, and no header lets a page read an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

import h11
import msgspec

MAX_HEAD_BYTES = 32 << 10
MAX_BODY_BYTES = 4 << 20
HOSTS = ("localhost", "127.0.0.1", "[::1]")
JSON, EVENTS = "application/json", "text/event-stream"
_PART_BYTES = 64 << 10
_LINGER_S = 1.0  # a client that is refused while it sends hears why only when somebody reads on


class Refused(Exception):
    """A request that is not answered; the text says what is wrong and what to do."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Call:
    """One request. `path` has no query."""

    method: str
    path: str
    body: bytes


@dataclass(frozen=True)
class Reply:
    """One answer."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    kind: str = JSON


Answer = Callable[[Call], Awaitable[Reply]]


async def converse(reader: StreamReader, writer: StreamWriter, answer: Answer) -> None:
    """Answer one request after the other until the client has gone; `answer` is cancelled when it goes meanwhile."""
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    port = writer.get_extra_info("sockname")[1]
    try:
        while (call := await _receive(http, reader, writer, port)) is not None:
            try:
                reply = await _unless_closed(answer(call), http, reader)
            except Refused as refused:
                reply = error_reply(refused)
            if reply is None:
                return
            await _send(http, writer, reply)
            if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()
    except ConnectionError:
        return
    except Refused as refused:
        await _refuse(http, reader, writer, refused)
    except h11.RemoteProtocolError as error:
        status = HTTPStatus(error.error_status_hint or 400)
        await _refuse(http, reader, writer, Refused(status, f"This is not HTTP as it should be: {error}"))
    finally:
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()


async def _receive(http: h11.Connection, reader: StreamReader, writer: StreamWriter, port: int) -> Call | None:
    """The next request, None when the client has gone. Raises Refused."""
    method = path = ""
    body = bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            if http.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[])
                writer.write(http.send(go_on) or b"")
            http.receive_data(await reader.read(_PART_BYTES))
        elif isinstance(event, h11.Request):
            method, path = event.method.decode(), event.target.decode("latin-1").partition("?")[0]
            _check(method, {name.decode(): value.decode("latin-1") for name, value in event.headers}, port)
        elif isinstance(event, h11.Data):
            body += event.data
            _check_size(len(body))
        elif isinstance(event, h11.EndOfMessage):
            return Call(method, path, bytes(body))
        else:
            return None


def _check(method: str, headers: dict[str, str], port: int) -> None:
    """Raise Refused unless the request may be answered. Names of headers are in small letters."""
    host = headers.get("host", "").lower()
    if host not in {f"{name}:{port}" for name in HOSTS}:
        raise Refused(HTTPStatus.FORBIDDEN, f"The host `{host}` is refused. Use http://127.0.0.1:{port}")
    if "origin" in headers:
        raise Refused(HTTPStatus.FORBIDDEN, "Web pages are refused: ask without an Origin header, from an editor")
    if method == "POST" and headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send JSON, with the header `Content-Type: {JSON}`")
    _check_size(int(headers.get("content-length", 0)))


def _check_size(n_bytes: int) -> None:
    if n_bytes > MAX_BODY_BYTES:
        message = f"The request is too large: at most {MAX_BODY_BYTES >> 20} MiB. Send less of the file"
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)


async def _unless_closed(answer: Awaitable[Reply], http: h11.Connection, reader: StreamReader) -> Reply | None:
    """Wait for an answer; None when the client closed the connection first, which cancels it. Raises Refused."""
    task = asyncio.ensure_future(answer)
    heard = asyncio.ensure_future(reader.read(_PART_BYTES))
    try:
        await asyncio.wait({task, heard}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done() and (heard.exception() or not heard.result()):
            return None
        return await task
    finally:
        task.cancel()
        heard.cancel()
        await asyncio.wait({task, heard})
        if not heard.cancelled() and heard.exception() is None:
            http.receive_data(heard.result())  # its next request, or its end


async def _send(http: h11.Connection, writer: StreamWriter, reply: Reply, *more: tuple[str, str]) -> None:
    headers = [("Content-Type", f"{reply.kind}; charset=utf-8"), ("Content-Length", str(len(reply.body))), *more]
    head = h11.Response(status_code=reply.status, headers=headers, reason=reply.status.phrase.encode())
    for event in (head, h11.Data(data=reply.body), h11.EndOfMessage()):
        writer.write(http.send(event) or b"")
    await writer.drain()


async def _refuse(http: h11.Connection, reader: StreamReader, writer: StreamWriter, refused: Refused) -> None:
    """Say why, and read what is still coming for a moment."""
    if http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
        return
    with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
        await _send(http, writer, error_reply(refused), ("Connection", "close"))
        writer.write_eof()
        await asyncio.wait_for(_read_on(reader), _LINGER_S)


async def _read_on(reader: StreamReader) -> None:
    while await reader.read(_PART_BYTES):
        pass


def error_reply(refused: Refused) -> Reply:
    """An error as OpenAI's clients read it."""
    kind = "invalid_request_error" if refused.status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
    error = {"message": str(refused), "type": kind, "code": int(refused.status)}
    return Reply(msgspec.json.encode({"error": error}), refused.status)

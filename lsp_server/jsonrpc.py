"""JSON-RPC 2.0 as LSP frames it, over a pair of byte streams. Knows no method and no LSP type.

A thread reads, since no event loop reads stdin on every system; everything else happens on the loop. Every
request is answered exactly once: with a result, with an error that says what is wrong, or as cancelled.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

import msgspec

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND = -32700, -32600, -32601
INVALID_PARAMS, INTERNAL_ERROR = -32602, -32603
NOT_INITIALIZED, REQUEST_CANCELLED = -32002, -32800

MAX_HEADER_BYTES, MAX_BODY_BYTES = 4096, 256 << 20

Id: TypeAlias = "int | str"
Handler: TypeAlias = Callable[[Any], "Awaitable[Any] | Any"]

log = logging.getLogger(__name__)


class RpcError(Exception):
    """An error answer: a code of JSON-RPC or LSP, and a message for the person who reads the log."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True)
class Method:
    """How a method is served: the type of its params (None: they are not looked at) and its handler."""

    params: Any
    handler: Handler


class Connection:
    """One client. `route` finds the method for a name, or raises RpcError; `on_close` hears the end of input."""

    def __init__(
        self,
        reader: BinaryIO,
        writer: BinaryIO,
        route: Callable[[str, bool], Method | None],
        on_close: Callable[[], None],
    ) -> None:
        self._reader, self._writer = reader, writer
        self._route, self._on_close = route, on_close
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._running: dict[Id, asyncio.Task[None]] = {}
        self._waiting: dict[Id, asyncio.Future[Any]] = {}
        self._n_sent = 0

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._read, name="reader", daemon=True).start()

    def notify(self, method: str, params: object) -> None:
        """Send a notification."""
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    async def request(self, method: str, params: object) -> Any:
        """Send a request to the client and wait for its answer. Raises RpcError."""
        self._n_sent += 1
        request_id = f"kruk-{self._n_sent}"
        future = self._waiting[request_id] = self._loop.create_future()
        self._send({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
        try:
            return await future
        finally:
            self._waiting.pop(request_id, None)

    # -- in -----------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Read messages until the end of input. On the reader's thread."""
        try:
            while (body := self._read_body()) is not None:
                try:
                    message = msgspec.json.decode(body)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    self._from_thread(self._answer_error, None, PARSE_ERROR, f"Not valid JSON: {error}")
                else:
                    self._from_thread(self._receive, message)
        except (OSError, ValueError) as error:
            log.debug("reading stopped: %s", error)
        self._from_thread(self._on_close)

    def _read_body(self) -> bytes | None:
        """Read one message's body; None at the end of input. Lines that are no header are skipped."""
        length: int | None = None
        while True:
            line = self._reader.readline(MAX_HEADER_BYTES)
            if not line:
                return None
            line = line.strip()
            if line.lower().startswith(b"content-length:"):
                digits = line.split(b":", 1)[1].strip()
                length = int(digits) if digits.isdigit() and len(digits) < 12 else None
            elif not line and length is not None:
                break
        if length > MAX_BODY_BYTES:
            left = length
            while left and (part := self._reader.read(min(left, 1 << 20))):
                left -= len(part)
            self._from_thread(self._answer_error, None, INVALID_REQUEST, f"A message of {length} bytes is too large")
            return b"null"
        body = self._reader.read(length)
        return body if len(body) == length else None

    def _from_thread(self, call: Callable[..., None], *args: object) -> None:
        """Run `call` on the loop, unless the loop has ended."""
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            log.debug("the loop has ended")

    def _receive(self, message: object) -> None:
        if message is None:
            return
        if not isinstance(message, dict):
            self._answer_error(None, INVALID_REQUEST, "A message must be an object")
            return
        request_id, method = message.get("id"), message.get("method")
        if isinstance(method, str):
            if "id" in message and not isinstance(request_id, (int, str)):
                self._answer_error(None, INVALID_REQUEST, "A request's id must be a number or a text")
            elif method == "$/cancelRequest":
                self._cancel(message.get("params"))
            else:
                self._dispatch(request_id if "id" in message else None, method, message.get("params"))
        elif request_id is not None and ("result" in message or "error" in message):
            self._settle(request_id, message)
        else:
            self._answer_error(None, INVALID_REQUEST, "A message must have a method, a result or an error")

    def _dispatch(self, request_id: Id | None, name: str, params: object) -> None:
        """Serve a request, or a notification when there is no id. Notifications run in order, at once."""
        try:
            method = self._route(name, request_id is not None)
            if method is None:
                return
            result = method.handler(_convert(params, method.params))
        except Exception as error:
            self._fail(request_id, name, error)
            return
        if not asyncio.iscoroutine(result):
            if request_id is not None:
                self._answer(request_id, result)
            return
        task = self._loop.create_task(self._finish(request_id, name, result))
        key: Id = request_id if request_id is not None else f"{name} {id(task)}"
        self._running[key] = task
        task.add_done_callback(lambda _: self._running.pop(key, None))

    async def _finish(self, request_id: Id | None, name: str, result: Awaitable[Any]) -> None:
        try:
            answer = await result
        except asyncio.CancelledError:
            if request_id is not None:
                self._answer_error(request_id, REQUEST_CANCELLED, f"{name} was cancelled")
        except Exception as error:
            self._fail(request_id, name, error)
        else:
            if request_id is not None:
                self._answer(request_id, answer)

    def _fail(self, request_id: Id | None, name: str, error: Exception) -> None:
        if isinstance(error, msgspec.ValidationError):
            error = RpcError(INVALID_PARAMS, f"{name}: {error}")
        if not isinstance(error, RpcError):
            log.error("%s failed", name, exc_info=error)
            error = RpcError(INTERNAL_ERROR, f"{name} failed: {error or type(error).__name__}")
        if request_id is not None:
            self._answer_error(request_id, error.code, error.message)
        else:
            log.warning("%s", error.message)

    def _cancel(self, params: object) -> None:
        request_id = params.get("id") if isinstance(params, dict) else None
        task = self._running.get(request_id) if isinstance(request_id, (int, str)) else None
        if task:
            task.cancel()

    def _settle(self, request_id: object, message: dict[str, Any]) -> None:
        future = self._waiting.get(request_id) if isinstance(request_id, str) else None
        if future is None or future.done():
            return
        error = message.get("error")
        if isinstance(error, dict):
            future.set_exception(RpcError(int(error.get("code", 0)), str(error.get("message", ""))))
        else:
            future.set_result(message.get("result"))

    # -- out ----------------------------------------------------------------------------------------------

    def _answer(self, request_id: Id, result: object) -> None:
        self._send({"jsonrpc": "2.0", "id": request_id, "result": result})

    def _answer_error(self, request_id: Id | None, code: int, message: str) -> None:
        self._send({"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}})

    def _send(self, message: object) -> None:
        body = msgspec.json.encode(message)
        with self._lock:
            try:
                self._writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
                self._writer.flush()
            except (OSError, ValueError) as error:  # the client is gone; the end of input will tell
                log.debug("writing failed: %s", error)


def _convert(params: object, kind: Any) -> Any:
    return params if kind is None else msgspec.convert({} if params is None else params, kind)

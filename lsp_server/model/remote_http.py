"""One address that the user wrote down, over HTTP: what it answers, line by line, and why it does not.

No other address is contacted: redirections are not followed, and proxies of the environment count only where the
address is on another machine. Everything here runs on the model's thread, in an event loop of its own that only
turns while that thread waits; except `abort`, which ends the wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import time
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from lsp_server import __version__
from lsp_server.errors import ModelError, ServerError
from lsp_server.model.base import Aborted

T = TypeVar("T")

CONNECT_PATIENCE_S = 3.0
CLOSE_PATIENCE_S = 1.0
MAX_LINE_BYTES = 1 << 20
MAX_ANSWER_BYTES = 16 << 20  # of an answer that is read whole: Ollama's list of models, with their templates
_NOT_LET_IN = {401, 403, 407}
_REFUSED = {400, 413, 422, 501}  # this request, and not every one
_URL_HINT = "Write `kruk.remote.url` as `http://127.0.0.1:8080`"


@dataclass(frozen=True)
class Address:
    """Where the server is. `is_local`: on this machine, so that no text leaves it."""

    url: str
    is_local: bool


def address_of(url: str, allows_non_local: bool) -> Address:
    """Read an address. Raises ModelError when it is none, or is not on this machine and that is not allowed."""
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise ModelError(f"`{url}` is no address: {error}", _URL_HINT) from error
    if parts.username is not None or parts.password is not None:
        hint = "Give a key by the environment variable `KRUK_REMOTE_KEY`, or by `kruk.remote.keyFile`"
        raise ModelError("`kruk.remote.url` must not hold a name or a password", hint)
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise ModelError(f"`{url}` is no address of a server", _URL_HINT)
    address = Address(parts._replace(path=parts.path.rstrip("/").removesuffix("/v1")).geturl(), _is_loopback(host))
    if not address.is_local and not allows_non_local:
        raise ModelError(
            f"`{address.url}` is not on this machine, and `kruk.remote.allowNonLocal` is off",
            "Nothing was sent. Switch it on if the text that you edit may be sent there",
        )
    return address


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # another name, whatever it stands for today
        return False


class Http:
    """Requests to one address."""

    def __init__(self, address: Address, key: str, patience_s: float) -> None:
        """key: "" for none. patience_s: how long it may say nothing."""
        self.address, self._patience_s = address, patience_s
        self._loop = asyncio.new_event_loop()
        self._stop: asyncio.Future[None] = self._loop.create_future()
        headers = {"User-Agent": f"kruk/{__version__}", "Accept-Encoding": "identity"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        # Silence is timed in `wait`: a read may rest while a more urgent job runs.
        timeout = httpx.Timeout(None, connect=CONNECT_PATIENCE_S)
        self._client = httpx.AsyncClient(headers=headers, timeout=timeout, trust_env=not address.is_local)

    def wait(self, task: asyncio.Task[T], until: float) -> T:
        """Turn the loop until a task is done. Raises Aborted, and the task goes on; ServerError after `until`."""
        timeout = max(0.0, until - time.monotonic())
        ends: set[asyncio.Future[Any]] = {task, self._stop}
        self._loop.run_until_complete(asyncio.wait(ends, timeout=timeout, return_when=asyncio.FIRST_COMPLETED))
        if task.done():
            return task.result()
        if self._stop.done():
            raise Aborted
        raise ServerError(
            f"`{self.address.url}` has said nothing for {self._patience_s:g} s",
            "It may be overloaded, or the model too large for it. `kruk.remote.patience` says how long Kruk waits",
        )

    def deadline(self) -> float:
        """When patience that begins now ends."""
        return time.monotonic() + self._patience_s

    def get(self, path: str) -> Any:
        """The JSON that a path answers with; None when there is none. Raises ServerError and Aborted."""
        task = self._loop.create_task(self._get(path))
        try:
            return self.wait(task, self.deadline())
        finally:
            self._end(task)

    def post(self, path: str, body: object) -> Lines:
        """Ask, and get the lines of the answer as they come."""
        return Lines(self, self._loop, self._post(path, body))

    def abort(self) -> None:
        """End the wait that is under way, or the next. May be called from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._end_wait)

    def _end_wait(self) -> None:
        if not self._stop.done():
            self._stop.set_result(None)

    def allow(self) -> None:
        """Let the next wait be a whole one."""
        if self._stop.done():
            self._stop = self._loop.create_future()

    def close(self) -> None:
        """Close every connection."""
        if self._loop.is_closed():
            return
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self.finish(self._loop.shutdown_asyncgens())
        self.finish(self._client.aclose())
        self._loop.close()

    def finish(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do what must not take long, and may fail."""
        with contextlib.suppress(Exception):
            self._loop.run_until_complete(asyncio.wait_for(work, CLOSE_PATIENCE_S))

    def _end(self, task: asyncio.Task[Any]) -> None:
        if not task.done():
            task.cancel()
            self.finish(_quietly(task))

    async def _get(self, path: str) -> Any:
        try:
            async with self._client.stream("GET", self.address.url + path) as response:
                body = await _whole(response)
        except httpx.HTTPError as error:
            raise self._lost(error) from error
        if response.status_code != 200:
            if response.is_client_error and response.status_code not in {*_NOT_LET_IN, 429}:
                return None
            raise self._refusal(response, body)
        try:
            return json.loads(body)
        except ValueError:
            return None

    async def _post(self, path: str, body: object) -> AsyncGenerator[bytes, None]:
        try:
            async with self._client.stream("POST", self.address.url + path, json=body) as response:
                if response.status_code != 200:
                    raise self._refusal(response, await _whole(response), path)
                rest = b""
                async for data in response.aiter_bytes():
                    *lines, rest = (rest + data).split(b"\n")
                    if len(rest) > MAX_LINE_BYTES:
                        raise self.nonsense()
                    for line in lines:
                        yield line
                yield rest
        except httpx.HTTPError as error:
            raise self._lost(error) from error

    def nonsense(self) -> ServerError:
        """It answers, but not as such a server does."""
        return ServerError(
            f"`{self.address.url}` answers in a way that Kruk does not understand",
            "Check `kruk.remote.url` and `kruk.remote.kind`",
        )

    def complaint(self, said: dict[str, Any]) -> ModelError:
        """What it says instead of going on."""
        return ModelError(f"`{self.address.url}` broke off: {_words(_message(said))}")

    def _lost(self, error: httpx.HTTPError) -> ServerError:
        url = self.address.url
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
            return ServerError(
                f"No server answers at `{url}` ({_words(str(error)) or 'no connection in time'})",
                "Start it, or correct `kruk.remote.url`. Kruk looks for it again when you ask",
            )
        return ServerError(
            f"The connection to `{url}` broke ({_words(str(error)) or type(error).__name__})",
            "Kruk looks for the server again when you ask",
        )

    def _refusal(self, response: httpx.Response, body: bytes, path: str = "") -> ModelError:
        url, status = self.address.url, response.status_code
        try:
            said = _words(_message(json.loads(body)))
        except ValueError:
            said = _words(body.decode("utf-8", "replace"))
        if response.has_redirect_location:
            target = _words(response.headers.get("location", ""))
            hint = "Redirections are not followed. Write the right address into `kruk.remote.url`"
            return ServerError(f"`{url}` redirects to `{target}`", hint)
        if status in _NOT_LET_IN:
            hint = "Give its key by the environment variable `KRUK_REMOTE_KEY`, or by `kruk.remote.keyFile`"
            return ServerError(f"`{url}` does not let Kruk in ({status}: {said})", hint)
        if status == 404:
            hint = "Check `kruk.remote.url`, `kruk.remote.kind` and `kruk.remote.model`"
            return ServerError(f"`{url}{path}` is not there ({status}: {said})", hint)
        what = f"`{url}` refused ({status}: {said})"
        return ModelError(what) if status in _REFUSED else ServerError(what, "Kruk asks again when you do")


class Lines:
    """The lines of one answer. To be closed, which closes the connection if the answer has not ended."""

    def __init__(self, http: Http, loop: asyncio.AbstractEventLoop, lines: AsyncGenerator[bytes, None]) -> None:
        self._http, self._loop, self._lines = http, loop, lines
        self._pending: asyncio.Task[bytes] | None = None

    def next(self, until: float) -> bytes | None:
        """Wait for the next line; None after the last. Raises Aborted, and may be asked again; ModelError."""
        if self._pending is None:
            self._pending = self._loop.create_task(_next(self._lines))
        line = self._http.wait(self._pending, until)
        self._pending = None
        return line

    def close(self) -> None:
        """Want no more."""
        if self._loop.is_closed():
            return
        if self._pending:
            self._pending.cancel()
            self._http.finish(_quietly(self._pending))
        self._http.finish(self._lines.aclose())


async def _next(lines: AsyncGenerator[bytes, None]) -> Any:
    return await anext(lines, None)


async def _quietly(task: asyncio.Task[Any]) -> None:
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


async def _whole(response: httpx.Response) -> bytes:
    """The body, or as much of it as there may be."""
    body = b""
    async for data in response.aiter_bytes():
        body += data
        if len(body) > MAX_ANSWER_BYTES:
            break
    return body


def _message(said: Any) -> str:
    """What a server says about an error: each kind puts it elsewhere."""
    said = said.get("error", said) if isinstance(said, dict) else said
    return str(said.get("message", said) if isinstance(said, dict) else said)


def _words(text: str) -> str:
    """A text of somebody else's in one short line."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text[:2000]).split())
    return text if len(text) <= 200 else text[:199] + "…"

"""A server for tests that speaks as llama.cpp's, as Ollama, and as OpenAI's protocol says, over real sockets.

What each kind answers is as their documentation has it, and for llama.cpp as it was heard. It fills in `fills`, says
`says` in conversations, and can be held, slow, rude, or gone in the middle of an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

QWEN = re.compile(r"<\|fim_prefix\|>(.*)<\|fim_suffix\|>(.*)<\|fim_middle\|>(.*)", re.DOTALL)
PIECE = re.compile(r"\s*\w+|\s+|.", re.DOTALL)


@dataclass
class ModelServer:
    """One server. `after`: how many pieces it says before it is held or breaks off."""

    kind: str
    fills: Callable[[str, str], str] = lambda prefix, suffix: ""
    says: str = "It adds."
    model: str = "qwen2.5-coder:1.5b"
    models: tuple[str, ...] = ()
    key: str = ""
    probability: float | None = 0.9  # of every token; None: it does not know how to tell
    slots: int = 1
    goes_on: bool = True  # with an answer that was begun; or else begins anew
    reply: bytes = b""  # instead of everything, once it is set
    after: int = 2
    breaks_off: bool = False
    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    n_dropped: int = 0  # answers that nobody wanted to hear to the end
    n_held: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self, port: int = 0) -> ModelServer:
        self.is_open.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """Die: the port is closed, and every connection with it."""
        if self._server:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            self._server = None
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while (request := await _request(reader)) is not None:
                await self._answer(*request, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(
        self, path: str, headers: dict[str, str], body: dict[str, Any], reader: Any, writer: asyncio.StreamWriter
    ) -> None:
        self.asked.append((path, body))
        if self.reply:
            writer.write(self.reply)
        elif self.key and headers.get("authorization") != f"Bearer {self.key}":
            _write(writer, 401, {"error": {"message": "Invalid API Key", "code": 401}})
        elif body:
            await self._stream(path, body, reader, writer)
        elif (found := self._facts().get(path)) is not None:
            _write(writer, 200, found)
        else:
            _write(writer, 404, {"error": {"message": "File Not Found", "code": 404}})
        await writer.drain()

    def _facts(self) -> dict[str, Any]:
        names = self.models or (self.model,)
        if self.kind == "llama.cpp":
            settings = {
                "default_generation_settings": {"n_ctx": 4096},
                "model_path": f"/models/{self.model}.gguf",
                "total_slots": self.slots,
            }
            return {"/props": settings}
        if self.kind == "ollama":
            return {
                "/api/version": {"version": "0.13.0"},
                "/api/tags": {"models": [{"name": name} for name in names]},
            }
        return {"/v1/models": {"data": [{"id": name, "owned_by": "somebody"} for name in names]}}

    async def _stream(self, path: str, body: dict[str, Any], reader: Any, writer: asyncio.StreamWriter) -> None:
        wants = any(body.get(name) for name in ("n_probs", "logprobs"))
        if wants and self.probability is None:
            return _write(writer, 400, {"error": {"message": "unknown field `logprobs`", "code": 400}})
        lines = self._lines(path, body, wants)
        if lines is None:
            return _write(writer, 404, {"error": {"message": "File Not Found", "code": 404}})
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        gone = asyncio.ensure_future(reader.read(1))
        gone.add_done_callback(lambda it: it.cancelled() or it.exception())
        for n, line in enumerate(lines):
            if n == self.after:
                if self.breaks_off:
                    return writer.transport.abort()
                self.n_held += not self.is_open.is_set()
                opened = asyncio.ensure_future(self.is_open.wait())
                await asyncio.wait({gone, opened}, return_when=asyncio.FIRST_COMPLETED)
                opened.cancel()
            if gone.done():
                self.n_dropped += 1
                raise ConnectionError
            data = line.encode()
            writer.write(b"%x\r\n%s\r\n" % (len(data), data))
            await writer.drain()
            await asyncio.sleep(0.001)  # pieces come one by one
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone
        writer.write(b"0\r\n\r\n")
        return None

    def _lines(self, path: str, body: dict[str, Any], wants: bool) -> Iterator[str] | None:
        """Answer a question with lines; None where it is not one for this kind."""
        limits = (body.get("n_predict"), body.get("max_tokens"), body.get("options", {}).get("num_predict"))
        limit = next(limit for limit in limits if limit is not None)
        if (path, self.kind) in (("/v1/chat/completions", "llama.cpp"), ("/v1/chat/completions", "openai")):
            return _openai(self._talk(body), limit, wants and self.probability, "delta")
        if (path, self.kind) == ("/api/chat", "ollama"):
            return _ollama(self._talk(body), limit, wants and self.probability, "message")
        text = self._fill(body)
        if (path, self.kind) in (("/completion", "llama.cpp"), ("/infill", "llama.cpp")):
            return _llama(text, limit, wants and self.probability)
        if (path, self.kind) == ("/api/generate", "ollama"):
            return _ollama(text, limit, wants and self.probability, "response")
        if (path, self.kind) == ("/v1/completions", "openai"):
            return _openai(text, limit, wants and self.probability, "text")
        return None

    def _fill(self, body: dict[str, Any]) -> str:
        if "input_prefix" in body:
            return self.fills(body["input_prefix"], body["input_suffix"])
        if "suffix" in body:
            return self.fills(body["prompt"], body["suffix"])
        if found := QWEN.search(body["prompt"]):
            return self.fills(found[1] + found[3], found[2])
        return ""

    def _talk(self, body: dict[str, Any]) -> str:
        last = body["messages"][-1]
        if last["role"] != "assistant":
            return self.says
        return self.says.removeprefix(last["content"]) if self.goes_on else last["content"] + self.says


async def _request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], dict[str, Any]] | None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *rest = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return first.split(" ")[1], headers, json.loads(body or b"{}")


def _write(writer: asyncio.StreamWriter, status: int, said: object) -> None:
    data = json.dumps(said).encode()
    writer.write(
        b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(data))
    )
    writer.write(data)


def _pieces(text: str, limit: int) -> tuple[list[str], bool]:
    pieces = PIECE.findall(text)
    return pieces[:limit], len(pieces) > limit


def _rows(piece: str, probability: float) -> list[dict[str, Any]]:
    logprob = math.log(probability)
    tops = [{"token": piece, "logprob": logprob}, {"token": "?", "logprob": -9.0}]
    return [{"token": piece, "logprob": logprob, "top_logprobs": tops}]


def _llama(text: str, limit: int, probability: float | bool | None) -> Iterator[str]:
    pieces, is_cut = _pieces(text, limit)
    if not limit:  # all that it does is evaluate
        yield ": a comment keeps the connection alive\n\n"
    for piece in pieces:
        said: dict[str, Any] = {"content": piece, "stop": False, "timings": {"cache_n": 7, "prompt_n": 3}}
        if probability:
            said["completion_probabilities"] = _rows(piece, probability)
        yield f"data: {json.dumps(said)}\n\n"
    yield f"data: {json.dumps({'content': '', 'stop': True, 'stop_type': 'limit' if is_cut else 'eos'})}\n\n"


def _ollama(text: str, limit: int, probability: float | bool | None, name: str) -> Iterator[str]:
    pieces, is_cut = _pieces(text, limit)
    for piece in pieces:
        said: dict[str, Any] = {name: piece if name == "response" else {"content": piece}, "done": False}
        if probability:
            said["logprobs"] = _rows(piece, probability)
        yield f"{json.dumps(said)}\n"
    yield f"{json.dumps({'done': True, 'done_reason': 'length' if is_cut else 'stop'})}\n"


def _openai(text: str, limit: int, probability: float | bool | None, name: str) -> Iterator[str]:
    pieces, is_cut = _pieces(text, limit)
    yield ": a comment keeps the connection alive\n\n"
    for piece in pieces:
        choice: dict[str, Any] = {name: piece if name == "text" else {"content": piece}, "finish_reason": None}
        if probability:
            [row] = _rows(piece, probability)
            older = {
                "tokens": [piece],
                "token_logprobs": [row["logprob"]],
                "top_logprobs": [{top["token"]: top["logprob"] for top in row["top_logprobs"]}],
            }
            choice["logprobs"] = older if name == "text" else {"content": [row]}
        yield f"data: {json.dumps({'choices': [choice]})}\n\n"
    yield f"data: {json.dumps({'choices': [{'finish_reason': 'length' if is_cut else 'stop', 'delta': {}}]})}\n\n"
    yield "data: [DONE]\n\n"


@contextlib.asynccontextmanager
async def serving(kind: str, **facts: Any) -> AsyncIterator[ModelServer]:
    """A server that ends with its test."""
    server = await ModelServer(kind, **facts).start()
    try:
        yield server
    finally:
        await server.stop()

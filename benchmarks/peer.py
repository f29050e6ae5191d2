"""The peer: llama.cpp's own HTTP server, asked on /infill the way llama.vim asks it.

It runs in a Python environment of its own, through the wheel `xllamacpp`, because that carries another build of
llama.cpp than Kruk does. Source of the request's fields: `llama#fim` in llama.vim's autoload/llama.vim.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil
from answers import Answer
from holes import Hole

from lsp_server.errors import KrukError

N_PREFIX_LINES, N_SUFFIX_LINES = 256, 64
N_CTX = 4096  # as Kruk's default; /infill cuts every prompt to one batch of 1,024 tokens
PREDICT_MS = 1000
START_PATIENCE_S = 180
ASK_PATIENCE_S = 300
_HINT = "Make its environment with `python3 -m venv peer && peer/bin/pip install xllamacpp`"


class Peer:
    """One server process; a context manager, so that it ends whatever happens."""

    name = "peer"

    def __init__(
        self, python: str, model: Path, n_threads: int, predict_ms: int | None = PREDICT_MS, n_slots: int = 1
    ) -> None:
        """Start it and wait until it has the model.

        predict_ms: how long it may generate once it is in a second line; None: as long as it wants. n_slots: how
        many requests it works on at once.
        Raises KrukError when it does not come up.
        """
        self._predict_ms = predict_ms
        self._prefix = self._suffix = ""
        self._others: Sequence[tuple[str, str]] = ()
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `close`
        self._port = port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._pending: http.client.HTTPConnection | None = None
        server = str(Path(__file__).with_name("peer_server.py"))
        command = [python, server, str(model), str(port), str(n_threads), str(N_CTX), str(n_slots)]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._noise
            )
        except OSError as error:
            self._noise.close()
            raise KrukError(f"`{python}` cannot be started: {error.strerror}", _HINT) from error
        # No proxy from the environment, and one connection for all requests.
        self._http = httpx.Client(base_url=self.url, timeout=ASK_PATIENCE_S, trust_env=False)
        try:
            self._wait_for_health()
            assert self._process.stdout is not None
            self.version = self._process.stdout.readline().decode().strip()
            self.process = psutil.Process(self._process.pid)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self, hole: Hole, others: Sequence[tuple[str, str]] = ()) -> None:
        """Go to a hole. `others`: (path, text) of other files that are open."""
        self._prefix, self._suffix, self._others = hole.prefix, hole.suffix, others

    def type(self, text: str) -> None:
        """Type at the cursor."""
        self._prefix += text

    def leave(self) -> None:
        """Leave the document. The server keeps what it has evaluated, as it does in an editor."""

    def ask(self) -> Answer:
        """Ask for a suggestion at the cursor.

        Raises KrukError when the server refuses, or is gone.
        """
        body = infill_body(self._prefix, self._suffix, self._predict_ms)
        if self._others:
            body["input_extra"] = [{"filename": path, "text": text} for path, text in self._others]
        started = time.perf_counter()
        try:
            reply = self._http.post("/infill", json=body)
            answer = reply.json()
        except (httpx.HTTPError, ValueError) as error:
            raise KrukError(f"the peer did not answer: {error}", self._last_words()) from error
        took_ms = (time.perf_counter() - started) * 1e3
        if reply.status_code != 200:
            raise KrukError(f"the peer refused: {answer.get('error', answer)}")
        text = shown(answer["content"], self._prefix, self._suffix)
        reason = None if text.strip() else f"nothing generated ({answer.get('stop_type', 'no reason given')})"
        timings = answer.get("timings", {})
        until_engine_ms = None
        if "prompt_ms" in timings:
            until_engine_ms = took_ms - timings["prompt_ms"] - timings.get("predicted_ms", 0)
        return Answer(
            "" if reason else text,
            took_ms,
            timings.get("prompt_n"),
            reason=reason,
            waited=True,
            until_engine_ms=until_engine_ms,
        )

    def start_asking(self) -> None:
        """Ask without waiting for the answer, to `cancel` it."""
        body = json.dumps(infill_body(self._prefix, self._suffix, self._predict_ms))
        self._pending = http.client.HTTPConnection("127.0.0.1", self._port)
        self._pending.request("POST", "/infill", body, {"Content-Type": "application/json"})

    def cancel(self) -> bool:
        """Hang up, which is how this server is told; says whether the answer had not begun yet."""
        assert self._pending is not None
        has_begun = bool(select.select([self._pending.sock], [], [], 0)[0])
        self._pending.close()
        return not has_begun

    def close(self) -> None:
        """End the server: its stdin is closed, and it is killed when that does not help."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._http.close()
        self._noise.close()

    def _wait_for_health(self) -> None:
        until = time.monotonic() + START_PATIENCE_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                words = self._last_words() or f"exit code {self._process.returncode}"
                raise KrukError(f"the peer did not start: {words}", _HINT)
            with contextlib.suppress(httpx.TransportError):
                if self._http.get("/health", timeout=5).status_code == 200:
                    return
            time.sleep(0.1)
        raise KrukError(f"the peer was not ready within {START_PATIENCE_S} s", _HINT)

    def _last_words(self) -> str:
        self._noise.seek(0)
        lines = self._noise.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def infill_body(prefix: str, suffix: str, predict_ms: int | None) -> dict[str, Any]:
    """The request that llama.vim would send with this text before and behind the cursor."""
    *above, line = prefix.split("\n")
    rest, *below = suffix.split("\n")
    is_blank = _is_blank(line, rest)
    body: dict[str, Any] = {
        "input_prefix": "\n".join(above[-N_PREFIX_LINES:]) + "\n",
        "prompt": "" if is_blank else line,
        "input_suffix": "\n".join(["" if is_blank else rest, *below[:N_SUFFIX_LINES]]) + "\n",
        "n_indent": 0 if is_blank else len(line) - len(line.lstrip(" \t")),
        "n_predict": 128,
        "top_k": 40,
        "top_p": 0.90,
        "samplers": ["top_k", "top_p", "infill"],
        "seed": 1,  # llama.vim gives none; the same answer twice is worth more here
        "cache_prompt": True,
        "stream": False,
    }
    if predict_ms is not None:
        body["t_max_predict_ms"] = predict_ms
    return body


def shown(content: str, prefix: str, suffix: str) -> str:
    """What llama.vim shows of an answer: without the line ends behind it, and the indentation a blank line has."""
    line, rest = prefix[prefix.rfind("\n") + 1 :], suffix.split("\n", 1)[0]
    text = content.rstrip("\n")
    if not _is_blank(line, rest):
        return text
    n_spaces = len(text) - len(text.lstrip(" \t"))
    return text[min(n_spaces, len(line)) :]


def _is_blank(line: str, rest: str) -> bool:
    # llama.vim asks from column 0 then, and leaves the indentation to the model.
    return not (line + rest).strip()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

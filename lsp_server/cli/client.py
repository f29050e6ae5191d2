"""A small language client: starts the real server as an editor would, for `kruk demo` and `kruk doctor`."""

from __future__ import annotations

import itertools
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from lsp_server.errors import KrukError


class Client:
    """One server process, talked to over its stdin and stdout."""

    def __init__(self, root: Path, options: dict[str, Any], home: Path | None = None) -> None:
        """Start the server. `home` is its KRUK_HOME and where it starts; None: the user's own, and `root`."""
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lsp_server", "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=home or root,
            env=env | ({"KRUK_HOME": str(home)} if home else {}),
        )
        self._ids = itertools.count(1)
        self._answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._listeners: dict[str, Callable[[Any], Any]] = {}
        self._root = root
        self._options = options
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def on(self, method: str, listener: Callable[[Any], Any]) -> None:
        """Call the listener with the params of every such message, on the reader's thread; its result answers."""
        self._listeners[method] = listener

    def initialize(self, listeners: dict[str, Callable[[Any], None]]) -> float:
        """Greet the server; returns the milliseconds from its start to its answer."""
        self._listeners.update(listeners)
        inline: dict[str, Any] = {"textDocument": {"inlineCompletion": {}}}
        self.request(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": self._root.as_uri(),
                "capabilities": inline,
                "initializationOptions": self._options,
            },
        )
        took_ms = (time.perf_counter() - self._started) * 1e3
        self.notify("initialized", {})
        return took_ms

    def open(self, path: Path, text: str, language_id: str) -> str:
        """Open a document; returns its URI."""
        uri = path.as_uri()
        item = {"uri": uri, "languageId": language_id, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})
        return uri

    def request(self, method: str, params: object, timeout_s: float = 300) -> Any:
        """Ask, and wait for the answer. Raises KrukError when it is an error or does not come."""
        number = next(self._ids)
        answers = self._answers[number] = queue.Queue()
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        try:
            message = answers.get(timeout=timeout_s)
        except queue.Empty:
            raise KrukError(f"the server did not answer `{method}` within {timeout_s:.0f} s") from None
        if "error" in message:
            raise KrukError(message["error"]["message"])
        return message["result"]

    def notify(self, method: str, params: object) -> None:
        """Send a notification."""
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def close(self) -> int:
        """End the server in the proper way; returns its exit code."""
        try:
            self.request("shutdown", None, 10)
            self.notify("exit", None)
            return self._process.wait(10)
        except (KrukError, OSError, subprocess.TimeoutExpired):
            self._process.kill()
            return self._process.wait()

    def _send(self, message: object) -> None:
        body = msgspec.json.encode(message)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            self._process.stdin.flush()
        except OSError as error:
            raise KrukError("the server has ended", "Run `kruk doctor` to find out why") from error

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while line := stream.readline():
            if not line.lower().startswith(b"content-length:"):
                continue
            stream.readline()
            message = msgspec.json.decode(stream.read(int(line.split(b":")[1])))
            if "method" not in message:
                self._answers.pop(message["id"]).put(message)
            elif listener := self._listeners.get(message["method"]):
                result = listener(message.get("params"))
                if "id" in message:
                    self._send({"jsonrpc": "2.0", "id": message["id"], "result": result})
        gone = {"error": {"message": f"the server ended with code {self._process.wait()}"}}
        for answers in list(self._answers.values()):
            answers.put(gone)

"""Kruk's side: the real `kruk serve` over real stdio, with this program as its editor."""

from __future__ import annotations

import os
import queue
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest import mock

import psutil
from answers import Answer
from holes import Hole

from lsp_server.cli.client import Client
from lsp_server.errors import KrukError

START_PATIENCE_S = 300


class Editor:
    """One server process; a context manager, so that it ends whatever happens."""

    name = "Kruk"

    def __init__(
        self,
        model: Path,
        options: dict[str, Any],
        trigger_kind: int = 1,
        sources: Path | None = None,
        home: Path | None = None,
    ) -> None:
        """Start it and wait until it has the model.

        trigger_kind: 1, invoked: every request is worked on at once; 2, automatic: with debounce, and not
        everywhere, as while somebody types.
        sources, home: folders for the documents, and for all that the server keeps; None: a new one, which is
        deleted at the end. With the sources of an earlier one, the same holes in the same order are the same files.
        Raises KrukError when it does not come up.
        """
        self._trigger_kind = trigger_kind
        self._folder = tempfile.TemporaryDirectory(prefix="kruk-benchmark-")
        own = Path(self._folder.name).resolve()
        self._root = sources or own / "sources"
        self._root.mkdir(exist_ok=True)
        self._n_files = 0
        self._pending = 0
        self._uri, self._version, self._prefix = "", 0, ""
        states: queue.Queue[dict[str, Any]] = queue.Queue()
        # What an earlier server kept would make a cold request warm.
        with mock.patch.dict(os.environ, KRUK_HOME=str(home or own / "home")):
            self._client = _Client(self._root, {"model": str(model), **options})
        self.process = self._client.process
        try:
            self.initialize_ms = self._client.initialize({"kruk/didChangeStatus": states.put})
            self._wait_for_model(states)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Editor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self, hole: Hole) -> None:
        """Open a new document with the hole in it."""
        self._n_files += 1
        # In a folder of its own: the server starts in the root, where a `json.py` would be imported.
        path = self._root / f"case-{self._n_files:04}" / hole.file
        path.parent.mkdir(exist_ok=True)
        text = hole.prefix + hole.suffix
        path.write_text(text, encoding="utf-8", newline="")
        self._uri, self._version, self._prefix = self._client.open(path, text, hole.language_id), 1, hole.prefix

    def type(self, text: str) -> None:
        """Type at the cursor."""
        self._version += 1
        at = _position(self._prefix)
        self._client.notify(
            "textDocument/didChange",
            {
                "textDocument": {"uri": self._uri, "version": self._version},
                "contentChanges": [{"range": {"start": at, "end": at}, "text": text}],
            },
        )
        self._prefix += text

    def leave(self) -> None:
        """Close the document."""
        self._client.notify("textDocument/didClose", {"textDocument": {"uri": self._uri}})

    def ask(self) -> Answer:
        """Ask for a suggestion at the cursor; then, outside the time, what the server did for it.

        Raises KrukError when the server answers with an error, or is gone.
        """
        params = self._params()
        started = time.perf_counter()
        answer = self._client.request("textDocument/inlineCompletion", params)
        took_ms = (time.perf_counter() - started) * 1e3
        items = answer["items"] if answer else []
        text = items[0]["insertText"] if items else ""  # its range begins at the cursor
        return read_trace(text, took_ms, self._client.request("kruk/lastCompletion", None) or {})

    def start_asking(self) -> None:
        """Ask without waiting for the answer, to `cancel` it."""
        self._pending = self._client.start("textDocument/inlineCompletion", self._params())

    def cancel(self) -> bool:
        """Cancel what `start_asking` asked; says whether it was unanswered."""
        was_unanswered = self._client.is_unanswered(self._pending)
        self._client.notify("$/cancelRequest", {"id": self._pending})
        return was_unanswered

    def close(self) -> None:
        """End the server."""
        self._client.close()
        self._folder.cleanup()

    def _params(self) -> dict[str, Any]:
        return {
            "textDocument": {"uri": self._uri},
            "position": _position(self._prefix),
            "context": {"triggerKind": self._trigger_kind},
        }

    def _wait_for_model(self, states: queue.Queue[dict[str, Any]]) -> None:
        until = time.monotonic() + START_PATIENCE_S
        while time.monotonic() < until:
            try:
                status = states.get(timeout=1)
            except queue.Empty:
                status = self._client.request("kruk/status", None)
            if status["state"] == "error":
                raise KrukError(status["message"], "Run `kruk doctor`")
            if status["state"] == "ready":
                return
        raise KrukError(f"the server had no model within {START_PATIENCE_S} s", "Run `kruk doctor`")


class _Client(Client):
    """The client, which may also ask without waiting."""

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self._process.pid)

    def start(self, method: str, params: object) -> int:
        number = next(self._ids)
        self._answers[number] = queue.Queue()
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return number

    def is_unanswered(self, number: int) -> bool:
        return number in self._answers


def read_trace(text: str, took_ms: float, trace: dict[str, Any]) -> Answer:
    """The answer, with what `kruk/lastCompletion` says about it. A known suggestion evaluates nothing."""
    rooms = {room["room"]: room for room in trace.get("rooms", [])}
    waited_ms = {name: rooms[name]["ms"] for name in ("joined", "debounce", "model") if name in rooms}
    n_evaluated = rooms.get("model", {}).get("evaluatedTokens", 0)
    outside_ms = trace["totalMs"] - sum(waited_ms.values()) if "totalMs" in trace else None
    reason = None if text else trace.get("reason") or "no reason given"
    until_engine_ms = None
    if "queue" in rooms:
        until_engine_ms = sum(room["ms"] for room in trace["rooms"][: list(rooms).index("queue") + 1])
    waited = "model" in rooms or "joined" in rooms
    return Answer(text, took_ms, n_evaluated, outside_ms, reason, waited, until_engine_ms)


def _position(prefix: str) -> dict[str, int]:
    r"""Where a text ends, as LSP counts it: lines, and UTF-16 units. Its line ends are all \n."""
    line = prefix[prefix.rfind("\n") + 1 :]
    return {"line": prefix.count("\n"), "character": len(line.encode("utf-16-le", "surrogatepass")) // 2}

"""Kruk's side: the real `kruk serve` over real stdio, with this program as its editor."""

from __future__ import annotations

import contextlib
import itertools
import queue
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from answers import Answer
from holes import Hole

from lsp_server.cli.client import Client
from lsp_server.errors import KrukError
from lsp_server.evaluation import editor
from lsp_server.evaluation.editor import INVOKED, START_PATIENCE_S, position_behind

QUESTION = "Explain at length how a hash table, a heap and a balanced tree work, and when to use which."


class _Client(Client):
    """The client, which may also ask without waiting."""

    def start(self, method: str, params: object) -> int:
        number = next(self._ids)
        self._answers[number] = queue.Queue()
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return number

    def is_unanswered(self, number: int) -> bool:
        return number in self._answers


class Editor(editor.Editor):
    """One server process, in which holes are opened as new files, and typed in."""

    name = "Kruk"
    client_class = _Client
    _client: _Client

    def __init__(
        self,
        model: Path,
        options: dict[str, Any],
        trigger_kind: int = INVOKED,
        sources: Path | None = None,
        home: Path | None = None,
    ) -> None:
        """Start it and wait until it has the model.

        sources, home: folders for the documents, and for all that the server keeps; None: a new one, which is
        deleted at the end. With the sources of an earlier one, the same holes in the same order are the same files.
        Raises KrukError when it does not come up.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="kruk-benchmark-")
        own = Path(self._folder.name).resolve()
        self._root = sources or own / "sources"
        self._root.mkdir(exist_ok=True)
        self._n_files = 0
        self._pending = 0
        # What an earlier server kept would make a cold request warm.
        super().__init__(self._root, home or own / "home", {"model": str(model), **options}, trigger_kind)

    def open(self, hole: Hole) -> None:
        """Open a new document with the hole in it."""
        self._n_files += 1
        path = self._root / f"case-{self._n_files:04}" / hole.file
        path.parent.mkdir(exist_ok=True)
        path.write_text(hole.prefix + hole.suffix, encoding="utf-8", newline="")
        self.open_file(path, hole.prefix, hole.suffix, hole.language_id)

    def type(self, text: str) -> None:
        """Type at the cursor."""
        self._version += 1
        at = position_behind(self._prefix)
        self._client.notify(
            "textDocument/didChange",
            {
                "textDocument": {"uri": self._uri, "version": self._version},
                "contentChanges": [{"range": {"start": at, "end": at}, "text": text}],
            },
        )
        self._prefix += text

    def ask(self) -> Answer:
        """Ask for a suggestion at the cursor. Raises KrukError when the server answers with an error, or is gone."""
        return read_trace(*self.request())

    def start_asking(self) -> None:
        """Ask without waiting for the answer, to `cancel` it."""
        self._pending = self._client.start("textDocument/inlineCompletion", self._params())

    def cancel(self) -> bool:
        """Cancel what `start_asking` asked; says whether it was unanswered."""
        was_unanswered = self._client.is_unanswered(self._pending)
        self._client.notify("$/cancelRequest", {"id": self._pending})
        return was_unanswered

    @contextlib.contextmanager
    def chatting(self) -> Iterator[None]:
        """Let a chat stream all the while, one long answer after the other."""
        begun, over, tokens = threading.Event(), threading.Event(), itertools.count()

        def chat() -> None:
            while not over.is_set():
                self._chat = f"chat-{next(tokens)}"
                message = {"role": "user", "content": QUESTION}
                params = {"messages": [message], "conversationId": self._chat, "workDoneToken": self._chat}
                with contextlib.suppress(KrukError):  # it was cancelled
                    self._client.request("kruk/chat", params)

        self._client.on("$/progress", lambda params: params["value"]["kind"] == "report" and begun.set())
        thread = threading.Thread(target=chat)
        thread.start()
        begun.wait(START_PATIENCE_S)
        try:
            yield
        finally:
            over.set()
            self._client.notify("window/workDoneProgress/cancel", {"token": self._chat})
            thread.join()

    def close(self) -> None:
        """End the server."""
        super().close()
        self._folder.cleanup()


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
    model = rooms.get("model", {})  # what was evaluated ahead of time costs nothing to say again
    waited = "joined" in rooms or model.get("evaluatedTokens", 0) + model.get("evaluations", 0) > 0
    return Answer(text, took_ms, n_evaluated, outside_ms, reason, waited, until_engine_ms)

"""The real `kruk serve` over real stdio, with this program as its editor."""

from __future__ import annotations

import queue
import time
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import psutil

from lsp_server.cli.client import Client
from lsp_server.errors import KrukError

START_PATIENCE_S = 300
IDLE_SHARE = 0.05  # of one core
IDLE_FOR_S = 1.0
IDLE_PATIENCE_S = 120
INVOKED = 1

Self = TypeVar("Self", bound="Editor")


class Reply(NamedTuple):
    """What was suggested ("" for nothing), after how many ms, and what the server tells of it."""

    text: str
    ms: float
    trace: dict[str, Any]


class Editor:
    """One server process; a context manager, so that it ends whatever happens."""

    client_class: type[Client] = Client

    def __init__(self, root: Path, home: Path, options: dict[str, Any], trigger_kind: int = INVOKED) -> None:
        """Start it in an empty `home` of its own, and wait until it has the model.

        Not in `root`, where a `json.py` would be imported. trigger_kind: 1, invoked: every request is worked on at
        once; 2, automatic: with debounce, and not everywhere, as while somebody types.
        Raises KrukError when it does not come up.
        """
        self._trigger_kind = trigger_kind
        self._uri, self._version, self._prefix = "", 0, ""
        home.mkdir(parents=True, exist_ok=True)
        states: queue.Queue[dict[str, Any]] = queue.Queue()
        self._client = self.client_class(root, options, home)
        self.process = psutil.Process(self._client.pid)
        try:
            self.initialize_ms = self._client.initialize({"kruk/didChangeStatus": states.put})
            self._wait_for_model(states)
        except BaseException:
            self.close()
            raise

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open_file(self, path: Path, prefix: str, suffix: str, language_id: str) -> None:
        """Open a document with the cursor between the two."""
        self._uri, self._version, self._prefix = self._client.open(path, prefix + suffix, language_id), 1, prefix

    def look(self, seconds: float) -> None:
        """Rest at the cursor, which lets the server prepare."""
        position = {"textDocument": {"uri": self._uri}, "position": position_behind(self._prefix)}
        self._client.notify("kruk/didMoveCursor", position)
        time.sleep(seconds)

    def leave(self) -> None:
        """Close the document."""
        self._client.notify("textDocument/didClose", {"textDocument": {"uri": self._uri}})

    def request(self) -> Reply:
        """Ask for a suggestion at the cursor; then, outside the time, what the server did for it.

        Raises KrukError when the server answers with an error, or is gone.
        """
        params = self._params()
        started = time.perf_counter()
        answer = self._client.request("textDocument/inlineCompletion", params)
        took_ms = (time.perf_counter() - started) * 1e3
        items = answer["items"] if answer else []
        text = items[0]["insertText"] if items else ""  # its range begins at the cursor
        return Reply(text, took_ms, self._client.request("kruk/lastCompletion", None) or {})

    def close(self) -> None:
        """End the server."""
        self._client.close()

    def _params(self) -> dict[str, Any]:
        return {
            "textDocument": {"uri": self._uri},
            "position": position_behind(self._prefix),
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


def rss_mib(process: psutil.Process) -> float:
    """Resident memory of a process and its children, in MiB."""
    them = [process, *process.children(recursive=True)]
    return float(sum(it.memory_info().rss for it in them)) / (1 << 20)


def wait_until_idle(process: psutil.Process, patience_s: float = IDLE_PATIENCE_S) -> None:
    """Wait until a process has hardly used its cores for IDLE_FOR_S; `patience_s` at most."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        before = sum(process.cpu_times()[:2])
        time.sleep(IDLE_FOR_S)
        if sum(process.cpu_times()[:2]) - before < IDLE_SHARE * IDLE_FOR_S:
            return


def position_behind(prefix: str) -> dict[str, int]:
    r"""Where a text ends, as LSP counts it: lines, and UTF-16 units. Its line ends are all \n."""
    line = prefix[prefix.rfind("\n") + 1 :]
    return {"line": prefix.count("\n"), "character": len(line.encode("utf-16-le", "surrogatepass")) // 2}

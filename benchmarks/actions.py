"""Whether every action and the chat run to their end in six languages, and how soon they can be stopped.

usage: python benchmarks/actions.py [--languages ID,ID] [--model PATH|ID] [--show]

Starts `kruk serve` and talks to it over stdio, as an editor does. Each action is run on the function in actions.json
twice: to its end, and until some updates have come, when it is cancelled. In the table: what came of it, how many
updates of its progress there were, how many milliseconds the cancel took to be answered, and whether no edit came and
no file was changed or made by what was cancelled.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import command
import msgspec
from rich.console import Console
from rich.table import Table

from lsp_server.cli.client import Client
from lsp_server.errors import KrukError

NAMES = ("explain", "fix", "document", "tests", "edit", "chat")
MIN_UPDATES = 2  # before a cancel
PATIENCE_S = 120


class Sample(msgspec.Struct, frozen=True):
    """A function with a bug, in the line with `-=`."""

    language: str
    file: str
    code: str


class Host:
    """The editor: counts updates, and takes edits without applying them."""

    def __init__(self, folder: Path, home: Path, model: Path) -> None:
        home.mkdir()
        self.folder, self.edits, self.n_updates = folder, list[Any](), 0
        self._begun, self._ready = threading.Event(), threading.Event()
        self._client = Client(folder, {"model": str(model)}, home)
        self._client.on("$/progress", self._progress)
        self._client.on("workspace/applyEdit", self._apply)
        self._client.initialize({"kruk/didChangeStatus": self._status})
        if not self._ready.wait(PATIENCE_S):
            raise KrukError("the server has no model", "Run `kruk doctor`")
        self._pool = ThreadPoolExecutor(1)

    def open(self, sample: Sample) -> str:
        """Write a file, and open it."""
        path = self.folder / sample.file
        path.write_text(sample.code, "utf-8")
        return self._client.open(path, sample.code, sample.language)

    def run(self, method: str, params: dict[str, Any]) -> Any:
        """Run a request to its end; a KrukError when that is one."""
        self.edits, self.n_updates = [], 0
        return self._client.request(method, params | {"workDoneToken": f"{time.monotonic_ns()}"}, PATIENCE_S)

    def cancel(self, method: str, params: dict[str, Any]) -> float | None:
        """Run a request until it has made progress, and cancel it: ms until it is answered; None: too quick."""
        self.edits, self.n_updates = [], 0
        self._begun.clear()
        token = f"{time.monotonic_ns()}"
        running = self._pool.submit(self._client.request, method, params | {"workDoneToken": token}, PATIENCE_S)
        self._begun.wait(PATIENCE_S)
        began, was_done = time.perf_counter(), running.done()
        self._client.notify("window/workDoneProgress/cancel", {"token": token})
        running.exception(PATIENCE_S)  # whether it ends in an answer or an error does not matter
        return None if was_done else (time.perf_counter() - began) * 1e3

    def close(self) -> None:
        """End the server."""
        self._client.close()
        self._pool.shutdown()

    def _progress(self, params: Any) -> None:
        if params["value"]["kind"] == "report":
            self.n_updates += 1
            if self.n_updates == MIN_UPDATES:
                self._begun.set()
        elif params["value"]["kind"] == "end":
            self._begun.set()

    def _apply(self, params: Any) -> dict[str, bool]:
        self.edits.append(params["edit"])
        return {"applied": True}

    def _status(self, params: Any) -> None:
        if params["state"] == "ready":
            self._ready.set()


def main() -> int:
    """Measure and print the table; the exit code is 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--languages", metavar="ID,ID", default="", help="default: all in actions.json")
    parser.add_argument("--show", action="store_true", help="print what came of each")
    command.add_model_argument(parser)
    arguments = command.parse(parser)
    table = Table(title=f"Actions: {arguments.model.name}", title_justify="left")
    for name in ("language", "action", "end", "updates", "seconds", "cancelled in", "nothing left"):
        table.add_column(name)
    console = Console()
    code = command.run(lambda: measure(arguments, table, console))
    console.print(table)
    return code


def measure(arguments: argparse.Namespace, table: Table, console: Console) -> None:
    """Run everything in every language."""
    samples = msgspec.json.decode(Path(__file__).with_suffix(".json").read_bytes(), type=list[Sample])
    wanted = arguments.languages.split(",") if arguments.languages else [sample.language for sample in samples]
    with tempfile.TemporaryDirectory(prefix="kruk-benchmark-") as name:
        folder = Path(name) / "work"
        folder.mkdir()
        host = Host(folder, Path(name) / "home", arguments.model)
        try:
            for sample in samples:
                if sample.language in wanted:
                    uri = host.open(sample)
                    for action in NAMES:
                        table.add_row(sample.language, action, *_row(host, sample, uri, action, arguments, console))
        finally:
            host.close()


def _row(host: Host, sample: Sample, uri: str, name: str, arguments: Any, console: Console) -> tuple[str, ...]:
    method, params = _asked(sample, uri, name)
    before = _files(host.folder)
    cancelled_ms = host.cancel(method, params)
    is_clean = not host.edits and _files(host.folder) == before
    began = time.perf_counter()
    try:
        answer = host.run(method, params)
        end = "ok" if answer.get("applied") or answer.get("text") else f"no: {answer.get('reason')}"
        shown = answer.get("text") or msgspec.json.encode(host.edits).decode()
    except KrukError as error:
        end, shown = f"error: {error}", ""
    seconds = time.perf_counter() - began
    command.tell(f"{sample.language} {name}: {end}, {host.n_updates} updates, {seconds:.1f} s")
    if arguments.show:
        console.print(f"-- {sample.language} {name}\n{shown}", markup=False, highlight=False)
    took = "too quick" if cancelled_ms is None else f"{cancelled_ms:.0f} ms"
    return end, str(host.n_updates), f"{seconds:.1f}", took, "yes" if is_clean else "NO"


def _asked(sample: Sample, uri: str, name: str) -> tuple[str, dict[str, Any]]:
    line = next(n for n, text in enumerate(sample.code.split("\n")) if "-=" in text)
    place = {"start": {"line": line, "character": 4}, "end": {"line": line, "character": 4}}
    if name == "chat":
        words = f"What does this do?\n\n```{sample.language}\n{sample.code}```"
        return "kruk/chat", {"messages": [{"role": "user", "content": words}]}
    argument: dict[str, Any] = {"uri": uri, "range": place}
    if name == "fix":
        problem = {"range": place, "message": "the price is subtracted, but it should be added", "severity": 1}
        argument["diagnostics"] = [problem]
    if name == "edit":
        argument["instruction"] = "rename `result` to `amount`"
    return "workspace/executeCommand", {"command": f"kruk.{name}", "arguments": [argument]}


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


if __name__ == "__main__":
    sys.exit(main())

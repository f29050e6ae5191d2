"""`kruk demo`: the main job, for somebody who has just installed Kruk."""

from __future__ import annotations

import queue
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.markdown import Markdown
from rich.markup import escape
from rich.panel import Panel
from rich.syntax import Syntax

from lsp_server.cli import models
from lsp_server.cli.client import Client
from lsp_server.cli.console import err, fail, out
from lsp_server.errors import KrukError, ModelNotFound
from lsp_server.model import registry
from lsp_server.model.catalogue import DEFAULT_MODEL

SAMPLE = '''"""A till for a small shop."""

from dataclasses import dataclass, field


@dataclass
class Item:
    name: str
    price: float
    quantity: int = 1


@dataclass
class Basket:
    items: list[Item] = field(default_factory=list)

    def add(self, item: Item) -> None:
        self.items.append(item)

    def total(self) -> float:
        """Sum of price times quantity over all items."""
        ├

    def cheapest(self) -> Item:
        return min(self.items, key=lambda item: item.price)
'''


def demo(model: Annotated[str, typer.Option("--model", metavar="ID|PATH")] = "") -> None:
    """Get the default model if it is missing, then complete and explain code as an editor would ask for it."""
    try:
        name = model or registry.default_choice() or DEFAULT_MODEL
        path = _model_path(name)
        with tempfile.TemporaryDirectory(prefix="kruk-demo-") as folder:
            _show(Path(folder).resolve(), path)
    except KrukError as error:
        fail(error)


def _model_path(name: str) -> Path:
    """Path of the model, which is pulled when models.json has it and this machine does not."""
    try:
        return registry.locate(name).path
    except ModelNotFound:
        spec, file = registry.find(name)
        err.print(f"The model [bold]{escape(spec.id)}[/] is not on this machine yet.")
        return models.pull_with_progress(spec, file)


def _show(root: Path, model: Path) -> None:
    file = root / "till.py"
    prefix, suffix = SAMPLE.split("├")
    file.write_text(prefix + suffix, encoding="utf-8")
    client = Client(root, {"model": str(model)})
    try:
        started = time.perf_counter()
        states: queue.Queue[dict[str, Any]] = queue.Queue()
        answered_ms = client.initialize({"kruk/didChangeStatus": states.put})
        with err.status(f"Loading {escape(model.name)} …"):
            while (status := states.get(timeout=300))["state"] == "loading":
                pass
        if status["state"] == "error":
            raise KrukError(status["message"])
        loaded_s = time.perf_counter() - started
        err.print(f"[dim]The server answered in {answered_ms:.0f} ms and had the model after {loaded_s:.1f} s[/]\n")
        uri = client.open(file, prefix + suffix, "python")
        _show_completion(client, uri, prefix)
        _show_explanation(client, uri)
    finally:
        client.close()


def _show_completion(client: Client, uri: str, prefix: str) -> None:
    lines = prefix.split("\n")
    position = {"line": len(lines) - 1, "character": len(lines[-1])}
    params = {"textDocument": {"uri": uri}, "position": position, "context": {"triggerKind": 1}}
    started = time.perf_counter()
    with err.status("Asking for a completion …"):
        answer = client.request("textDocument/inlineCompletion", params)
    took_ms = (time.perf_counter() - started) * 1e3
    if not answer or not answer["items"]:
        trace = client.request("kruk/lastCompletion", None)
        raise KrukError(f"There was no suggestion: {trace['reason']}", "Run `kruk doctor`")
    text = answer["items"][0]["insertText"]
    first = prefix.rfind("    def total")
    code = Syntax(prefix[first:] + text, "python", theme="ansi_dark", background_color="default")
    title = f"Completion: [green]{escape(text.strip().splitlines()[0])}[/]"
    out.print(Panel(code, title=title, subtitle=f"{took_ms:.0f} ms", title_align="left", padding=(1, 2)))


def _show_explanation(client: Client, uri: str) -> None:
    lines = SAMPLE.split("\n")
    first = lines.index("class Basket:") - 1
    span = {"start": {"line": first, "character": 0}, "end": {"line": len(lines), "character": 0}}
    params = {
        "command": "kruk.explain",
        "arguments": [{"uri": uri, "range": span}],
        "workDoneToken": "explain",
    }
    text = ""
    with Live(_explanation("…", "working"), console=out, transient=True, auto_refresh=out.is_terminal) as live:

        def hear(progress: Any) -> None:
            nonlocal text
            text += progress["value"].get("message", "")
            live.update(_explanation(text, "working"))

        client.on("$/progress", hear)
        started = time.perf_counter()
        answer = client.request("workspace/executeCommand", params)
        took_s = time.perf_counter() - started
    speed = answer["tokens"] / took_s
    out.print(_explanation(answer["text"], f"{took_s:.1f} s, {answer['tokens']} tokens, {speed:.0f} a second"))


def _explanation(text: str, subtitle: str) -> Panel:
    title = "Explanation of [green]class Basket[/]"
    return Panel(Markdown(text), title=title, subtitle=subtitle, title_align="left", padding=(1, 2))

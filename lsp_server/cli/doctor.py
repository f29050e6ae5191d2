"""`kruk doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
import typer
from rich.markup import escape
from rich.table import Table

from lsp_server import __version__, paths
from lsp_server.cli import options
from lsp_server.cli.client import Client
from lsp_server.cli.console import err, fail, out
from lsp_server.errors import KrukError
from lsp_server.model import memory, registry
from lsp_server.model.catalogue import DEFAULT_MODEL
from lsp_server.settings import Settings

EDITORS = {
    "Neovim": ("nvim", "--version"),
    "VS Code": ("code", "--version"),
    "Vim": ("vim", "--version"),
    "Emacs": ("emacs", "--version"),
    "Helix": ("hx", "--version"),
    "Kate": ("kate", "--version"),
    "Sublime Text": ("subl", "--version"),
    "Zed": ("zed", "--version"),
}
LLAMA_PINNED = "0.3.36"
_FAST = ("AVX2", "AVX512", "NEON", "VSX", "WASM_SIMD")
_SAMPLE, _SAMPLE_AFTER = "def add(a, b):\n    return ", "\n\n\nprint(add(1, 2))\n"


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `level` "bad" makes the command end with 1."""

    topic: str
    level: Literal["good", "note", "bad"]
    text: str
    advice: str = ""


def doctor(
    model: options.Model = "",
    draft_model: options.DraftModel = "",
    server: options.Server = "",
    allow_non_local: options.AllowNonLocal = False,
    others: options.OtherSettings = "",
    as_json: Annotated[bool, typer.Option("--json", help="For a script.")] = False,
) -> None:
    """Look at Python, llama.cpp, memory, models and editors, and try one completion. Ends with 1 when it fails.

    With a model that drafts it measures whether that pays, and keeps the result: only then is it used.
    """
    try:
        values = options.values_of(model, server, allow_non_local, others)
        if draft_model:
            values["draftModel"] = draft_model
        settings = options.settings_of(values)
    except KrukError as error:
        fail(error)
    if not settings.remote.url:
        values["model"] = settings.model or registry.default_choice() or DEFAULT_MODEL
    findings = []
    table = Table.grid(padding=(0, 2))
    marks = {"good": "[green]✓[/]", "note": "[yellow]·[/]", "bad": "[red]✗[/]"}
    with err.status("Looking …") as status:
        for finding in _look(values, settings):
            findings.append(finding)
            status.update(f"Looking … {finding.topic}")
            table.add_row(marks[finding.level], finding.topic, escape(finding.text))
            if finding.advice:
                table.add_row("", "", f"[bold]→[/] {escape(finding.advice)}")
    if as_json:
        out.print_json(json.dumps([asdict(finding) for finding in findings]))
    else:
        out.print(table)
    if any(finding.level == "bad" for finding in findings):
        raise typer.Exit(1)


def _look(values: dict[str, Any], settings: Settings) -> Iterator[Finding]:
    yield _python()
    yield _llama()
    yield _processor()
    yield _memory()
    yield _folder()
    has_model = True
    for finding in _server(settings) if settings.remote.url else _models(values["model"]):
        yield finding
        has_model = not (finding.topic == "Server" and finding.level == "bad")
    yield from _editors()
    yield _cache()
    if has_model and settings.draft_model and not settings.remote.url:
        yield from _drafts(values, settings)
    if has_model:
        yield from _self_test(values)


def _python() -> Finding:
    text = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, Kruk {__version__}"
    return Finding("Python", "good", text)


def _llama() -> Finding:
    """Load llama.cpp in a process of its own: a build for another processor ends with an illegal instruction."""
    code = "from lsp_server.model.llama_library import build_info; print(build_info())"
    path = os.pathsep.join(entry for entry in sys.path if entry)
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    if run.returncode != 0:
        why = "it was built for another processor" if run.returncode in (-4, 0xC000001D) else run.stderr.strip()
        advice = "Install it anew: pip install --force-reinstall --no-binary llama-cpp-python llama-cpp-python=="
        return Finding("llama.cpp", "bad", f"it cannot be loaded: {why}", advice + LLAMA_PINNED)
    version = importlib.metadata.version("llama-cpp-python")
    sets = " ".join(part.split(" = ")[0].strip() for part in run.stdout.split("|") if part.strip().endswith("= 1"))
    text = f"llama-cpp-python {version}; {sets}"
    if version != LLAMA_PINNED:
        return Finding("llama.cpp", "bad", text, f"Kruk needs exactly {LLAMA_PINNED}: install Kruk again")
    if not any(name in sets for name in _FAST):
        return Finding("llama.cpp", "note", text, "This build uses no vector instructions and will be slow")
    return Finding("llama.cpp", "good", text)


def _processor() -> Finding:
    cores, threads = psutil.cpu_count(logical=False), psutil.cpu_count()
    text = f"{cores} cores, {threads} hardware threads; the model uses at most {memory.default_threads()}"
    return Finding("Processor", "good", text)


def _memory() -> Finding:
    there, total = memory.available_bytes(), psutil.virtual_memory().total
    text = f"{memory.gib(there)} of {memory.gib(total)} can be used"
    if there < 1 << 30:
        return Finding("Memory", "note", text, "That is little even for the smallest models: close other programs")
    return Finding("Memory", "good", text)


def _folder() -> Finding:
    folder = paths.data_dir()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = memory.gib(shutil.disk_usage(existing).free)
    if not os.access(existing, os.W_OK):
        return Finding("Folder", "bad", f"{folder} cannot be written", "Set KRUK_HOME to a folder of your own")
    return Finding("Folder", "good", f"{folder}, {free} free")


def _cache() -> Finding:
    n_mib, folder = paths.cache_bytes() >> 20, paths.cache_dir()
    text = f"{n_mib} MiB in {folder}: evaluated prompts and suggestions, readable by you only"
    return Finding("Cache", "good", text)


def _models(chosen: str) -> Iterator[Finding]:
    found = registry.installed()
    for model in found:
        yield _model(model)
    try:
        located = registry.locate(chosen)
    except KrukError as error:
        yield Finding("Model", "bad", error.what, error.hint)
        return
    need = memory.estimate(located, 4096).total
    text = f"{located.name} is used; it needs {memory.gib(need)}"
    yield Finding("Model", "good", text + ("" if located.fim else "; it cannot fill in the middle"))


def _server(settings: Settings) -> Iterator[Finding]:
    """Ask the server what it is."""
    from lsp_server.model.remote import connect  # not at the top: importing it loads an HTTP client

    try:
        with contextlib.closing(connect(settings.remote, settings.context_size)) as model:
            info, how = model.info, "asked to fill in the middle in its family's format"
            if not model.can_ask_again:
                how = "asked to fill in the middle in the server's own way: `kruk.remote.family` is not known"
            elif info.fim is None:
                how = "its family cannot fill in the middle"
            text = f"{model.kind.name} at {model.http.address.url} runs {info.name}, {info.n_ctx} tokens used; {how}"
            yield Finding("Server", "good" if info.fim else "note", text)
    except KrukError as error:
        yield Finding("Server", "bad", error.what, error.hint)


def _model(model: registry.InstalledModel) -> Finding:
    """Check one file: by its hash when the catalogue has one, else by its header."""
    name = f"{model.name} ({memory.gib(model.size_bytes)})"
    if model.file and model.file.sha256:
        with model.path.open("rb") as stream:
            digest = hashlib.sha256()
            while part := stream.read(1 << 22):
                digest.update(part)
        if digest.hexdigest() == model.file.sha256:
            return Finding("File", "good", f"{name}: the hash is right")
        advice = f"Run `kruk models rm {model.name}`, then `kruk models pull {model.name}`"
        return Finding("File", "bad", f"{name}: the hash is wrong, the file is damaged", advice)
    try:
        registry.locate(str(model.path))
    except KrukError as error:
        return Finding("File", "bad", error.what, error.hint)
    return Finding("File", "good", f"{name}: the header is sound; there is no hash to check")


def _editors() -> Iterator[Finding]:
    seen = False
    for name, (command, flag) in EDITORS.items():
        if (path := shutil.which(command)) is None:
            continue
        seen = True
        try:
            run = subprocess.run(
                [path, flag],
                capture_output=True,
                text=True,
                timeout=10,
                stdin=subprocess.DEVNULL,
                check=False,
            )
            version = (run.stdout.strip().splitlines() or ["version unknown"])[0]
        except (OSError, subprocess.TimeoutExpired):
            version = "it does not say its version"
        advice = "Ghost text needs Neovim 0.12" if name == "Neovim" and _is_old_neovim(version) else ""
        yield Finding("Editor", "note" if advice else "good", f"{name}: {version[:60]}", advice)
    if not seen:
        yield Finding("Editor", "note", "none of the known ones is on PATH")


def _endpoint(port: int, address: str | None) -> Finding:
    if address:
        return Finding("Endpoint", "good", f"suggestions can be given at {address}, to programs on this machine only")
    advice = "If it is another Kruk, ask that one; else choose another port, here and in the editor"
    return Finding("Endpoint", "note", f"the port {port} on 127.0.0.1 is taken", advice)


def _is_old_neovim(version: str) -> bool:
    numbers = version.removeprefix("NVIM v").split(".")
    return numbers[0] == "0" and len(numbers) > 1 and numbers[1].isdigit() and int(numbers[1]) < 12


def _drafts(values: dict[str, Any], settings: Settings) -> Iterator[Finding]:
    """Measure whether drafts pay, for each of the models that there may be drafts for."""
    from lsp_server.cli.draft_trial import measure  # not at the top: importing it loads the rooms of chats

    for name in dict.fromkeys(filter(None, (values["model"], settings.chat_model))):
        try:
            yield Finding("Drafts", "good", measure({**values, "model": name}))
        except KrukError as error:
            yield Finding("Drafts", "note", error.what, error.hint)


def _self_test(values: dict[str, Any]) -> Iterator[Finding]:
    """Start the server as an editor would, complete one line, and measure."""
    try:
        with tempfile.TemporaryDirectory(prefix="kruk-doctor-") as folder:
            yield from _try_one(Path(folder).resolve(), values)
    except (KrukError, OSError, queue.Empty) as error:
        advice = error.hint if isinstance(error, KrukError) else ""
        yield Finding("Self-test", "bad", getattr(error, "what", "") or f"it failed: {error!r}", advice)


def _try_one(root: Path, values: dict[str, Any]) -> Iterator[Finding]:
    client = Client(root, values)
    try:
        states: queue.Queue[dict[str, Any]] = queue.Queue()
        answered_ms = client.initialize({"kruk/didChangeStatus": states.put})
        while (status := states.get(timeout=300))["state"] == "loading":
            pass
        if status["state"] == "error":
            yield Finding("Self-test", "bad", status["message"])
            return
        status = client.request("kruk/status", None)
        yield Finding("KV cache", "good", status["kvCache"])
        if port := values.get("endpoint.port"):
            yield _endpoint(port, status["endpoint"])
        uri = client.open(root / "add.py", _SAMPLE + _SAMPLE_AFTER, "python")
        position = {"line": 1, "character": len("    return ")}
        params = {"textDocument": {"uri": uri}, "position": position, "context": {"triggerKind": 1}}
        started = time.perf_counter()
        answer = client.request("textDocument/inlineCompletion", params)
        took_ms = (time.perf_counter() - started) * 1e3
        talk = {"messages": [{"role": "user", "content": "Count from one to twenty."}]}
        speed = ""
        try:
            started = time.perf_counter()
            said = client.request("kruk/chat", talk)
            speed = f", {said['tokens'] / (time.perf_counter() - started):.0f} tokens a second"
        except KrukError:  # a base model; the completion has shown that it works
            speed = ""
        if not answer or not answer["items"]:
            reason = client.request("kruk/lastCompletion", None)["reason"]
            yield Finding("Self-test", "bad", f"no suggestion: {reason}", "Try another model")
            return
        text = answer["items"][0]["insertText"]
        times = f"answered in {answered_ms:.0f} ms, suggested in {took_ms:.0f} ms{speed}"
        yield Finding("Self-test", "good", f"`return ` → `{text}`; {times}")
    finally:
        client.close()

"""A server over real stdio, spoken to by pytest-lsp's client."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lsprotocol import types
from pygls.protocol import default_converter
from pytest_lsp import LanguageClient
from pytest_lsp.client import DEFAULT_CLIENT_FEATURES, register_lsp_features

from tests.conftest import ROOT, cut

URI = "file:///nowhere/sample.py"
Start = Callable[..., Awaitable["Editor"]]


class Editor:
    """What an editor does, in few words."""

    def __init__(self, client: LanguageClient) -> None:
        self.client = client
        self.version = 0
        self.notes: list[tuple[str, Any]] = []
        self.result: types.InitializeResult

    @property
    def process(self) -> asyncio.subprocess.Process:
        return self.client._server  # the one way to its exit code

    async def request(self, method: str, params: object = None) -> Any:
        return await asyncio.wait_for(self.client.protocol.send_request_async(method, params), 60)

    def open(self, text: str, uri: str = URI, language: str = "python") -> None:
        self.version = 1
        item = types.TextDocumentItem(uri, language, 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def type(self, at: types.Position, text: str, uri: str = URI) -> None:
        self.version += 1
        change = types.TextDocumentContentChangePartial(range=types.Range(at, at), text=text)
        document = types.VersionedTextDocumentIdentifier(self.version, uri)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    def ask(self, line: int, character: int, *, uri: str = URI, invoked: bool = True) -> Awaitable[Any]:
        kind = types.InlineCompletionTriggerKind.Invoked if invoked else types.InlineCompletionTriggerKind.Automatic
        params = types.InlineCompletionParams(
            types.InlineCompletionContext(kind), types.TextDocumentIdentifier(uri), types.Position(line, character)
        )
        return asyncio.wait_for(self.client.text_document_inline_completion_async(params), 60)

    async def suggest(self, drawn: str, **kwargs: Any) -> str | None:
        """Open a document with the cursor drawn into it and ask there."""
        text, at = cut(drawn)
        self.open(text, language=kwargs.pop("language", "python"))
        before = text[:at].split("\n")
        return texts(await self.ask(len(before) - 1, len(before[-1]), **kwargs))

    async def reason(self) -> str | None:
        return (await self.request("kruk/lastCompletion")).reason

    async def until(self, method: str, wanted: Callable[[Any], bool]) -> Any:
        """Wait for a notification, one that came already included."""
        for _ in range(1000):
            for name, params in self.notes:
                if name == method and wanted(params):
                    return params
            await asyncio.sleep(0.02)
        raise AssertionError(f"{method} did not come; there was {self.notes}")

    async def until_state(self, wanted: str) -> None:
        """Ask for the status until it is the wanted one."""
        for _ in range(500):
            if (await self.request("kruk/status")).state == wanted:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"the state never was {wanted}")

    async def ready(self) -> None:
        await self.until("kruk/didChangeStatus", lambda status: status.state == "ready")

    async def quit(self) -> int:
        await self.client.shutdown_async(None)
        self.client.exit(None)
        return await asyncio.wait_for(self.process.wait(), 20)


def texts(answer: Any) -> str | None:
    """The text of an answer's one item, None when there is none."""
    return answer.items[0].insert_text if answer and answer.items else None


@pytest_asyncio.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start servers: the fake one with a script, or any command; and initialize them."""
    editors: list[Editor] = []

    async def start(
        script: dict[str, Any] | None = None,
        *,
        command: list[str] | None = None,
        options: object = None,
        capabilities: types.ClientCapabilities | None = None,
        configuration: object = None,
        initialize: bool = True,
        env: dict[str, str] | None = None,
        root: str = "file:///nowhere",
    ) -> Editor:
        if command is None:
            path = tmp_path / f"script{len(editors)}.json"
            path.write_text(json.dumps(script or {}))
            command = [sys.executable, "-m", "tests.fake_server", str(path)]
        client = LanguageClient(converter_factory=default_converter, configuration=configuration)
        editor = Editor(client)
        features = dict(DEFAULT_CLIENT_FEATURES)
        for name in ("kruk/didChangeStatus", types.PROGRESS, types.WINDOW_SHOW_MESSAGE, types.WINDOW_LOG_MESSAGE):
            features[name] = _listener(editor, name)
        register_lsp_features(client, features)
        own = {"KRUK_HOME": str(tmp_path / "home"), **(env or {})}
        await client.start_io(*command, cwd=str(ROOT), env={**os.environ, **own})
        editors.append(editor)
        if initialize:
            text_document = types.TextDocumentClientCapabilities(
                inline_completion=types.InlineCompletionClientCapabilities()
            )
            editor.result = await client.initialize_session(
                types.InitializeParams(
                    capabilities=capabilities or types.ClientCapabilities(text_document=text_document),
                    process_id=os.getpid(),
                    root_uri=root,
                    initialization_options=options,
                )
            )
        return editor

    yield start
    for editor in editors:
        if editor.process.returncode is None:
            editor.process.kill()
        await editor.client.stop()


def _listener(editor: Editor, name: str) -> Callable[..., None]:
    def listen(ls: LanguageClient, params: Any) -> None:
        editor.notes.append((name, params))

    return listen


@pytest.fixture
def real(default_model: Path, home: Path) -> dict[str, Any]:
    """Arguments for `start` that run the real server with the real model."""
    command = [sys.executable, "-m", "lsp_server", "serve"]
    return {"command": command, "options": {"model": str(default_model)}, "env": {"KRUK_HOME": str(home)}}


@pytest.fixture
def kruk(home: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command as a user does, in a process of its own."""

    def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "lsp_server", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "KRUK_HOME": str(home), "COLUMNS": "120"},
            timeout=240,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run

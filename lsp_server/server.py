"""The server: everything is wired here and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO

from lsp_server.capabilities import Client, initialize_result, read_client
from lsp_server.completion import recall
from lsp_server.completion.recall import Recall
from lsp_server.endpoint.listener import Endpoint
from lsp_server.handlers import chat, code_action, commands, configuration, inline_completion, status, sync
from lsp_server.handlers.editor import Editor
from lsp_server.jsonrpc import (
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    NOT_INITIALIZED,
    Connection,
    Method,
    RpcError,
)
from lsp_server.model import states
from lsp_server.model.states import States
from lsp_server.model.worker import Status, Urgency, Worker
from lsp_server.paths import CacheFolder
from lsp_server.protocol import (
    CancelProgressParams,
    ChatParams,
    CodeActionParams,
    CompletionParams,
    CountTokensParams,
    DidChangeConfigurationParams,
    DidChangeParams,
    DidChangeWatchedFilesParams,
    DidChangeWorkspaceFoldersParams,
    DidMoveCursorParams,
    DidOpenParams,
    DocumentParams,
    ExecuteCommandParams,
    InitializeParams,
    InlineCompletionParams,
)
from lsp_server.session import INITIALIZED_WITH, STARTED_WITH, LoaderFor, Session

WATCH_PERIOD_S = 2.0
KEEP_S = 2.0
_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO, "debug": logging.DEBUG}
_LSP_LEVELS = {logging.ERROR: 1, logging.WARNING: 2, logging.INFO: 3, logging.DEBUG: 4}

log = logging.getLogger(__name__)


class Server:
    """One client over one pair of streams. Made and used on a running loop."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO, loader_for: LoaderFor, options: object = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._connection = Connection(reader, writer, self._route, lambda: self._end(None))
        self.session = _session(self._on_status, loader_for, self._connection.notify)
        self._endpoint = Endpoint(self.session)
        self._client = Client()
        self._editor = Editor(self._connection)
        self._is_initialized = False
        self._has_shown_failure: str | None = None
        self.session.configure(options, STARTED_WITH)
        self.methods = self._methods()

    async def run(self) -> int:
        """Serve until the client is done; returns the exit code: 0 after `shutdown`, 1 without it."""
        forwarder = _LogForwarder(self._loop, self._connection.notify)
        logging.getLogger("lsp_server").addHandler(forwarder)
        self._connection.start()
        try:
            return await self._ended
        finally:
            logging.getLogger("lsp_server").removeHandler(forwarder)
            await self._endpoint.stop()
            await _close(self.session)

    def _methods(self) -> dict[str, Method]:
        session, endpoint = self.session, self._endpoint
        return {
            "initialize": Method(InitializeParams, self._initialize),
            "initialized": Method(
                None, lambda _: configuration.initialized(session, endpoint, self._client, self._connection)
            ),
            "shutdown": Method(None, self._shutdown),
            "exit": Method(None, lambda _: self._end(None)),
            "textDocument/didOpen": Method(DidOpenParams, lambda p: sync.did_open(session, p)),
            "textDocument/didChange": Method(DidChangeParams, lambda p: sync.did_change(session, self._client, p)),
            "textDocument/didClose": Method(DocumentParams, lambda p: sync.did_close(session, p)),
            "textDocument/didSave": Method(DocumentParams, lambda p: sync.did_save(session, p)),
            "workspace/didChangeWatchedFiles": Method(
                DidChangeWatchedFilesParams, lambda p: sync.did_change_files(session, p)
            ),
            "textDocument/inlineCompletion": Method(
                InlineCompletionParams,
                lambda p: inline_completion.inline_completion(session, self._client, p),
            ),
            "textDocument/completion": Method(
                CompletionParams, lambda p: inline_completion.completion(session, self._client, p)
            ),
            "textDocument/codeAction": Method(
                CodeActionParams, lambda p: code_action.code_actions(session, self._client, p)
            ),
            "codeAction/resolve": Method(None, lambda p: code_action.resolve(session, self._editor, p)),
            "workspace/didChangeConfiguration": Method(
                DidChangeConfigurationParams,
                lambda p: configuration.did_change(session, endpoint, self._client, self._connection, p),
            ),
            "workspace/didChangeWorkspaceFolders": Method(
                DidChangeWorkspaceFoldersParams, lambda p: sync.did_change_folders(session, p)
            ),
            "workspace/executeCommand": Method(
                ExecuteCommandParams, lambda p: commands.execute(session, self._editor, p)
            ),
            "kruk/didMoveCursor": Method(
                DidMoveCursorParams, lambda p: sync.did_move_cursor(session, self._client, p)
            ),
            "kruk/status": Method(None, lambda _: status.as_dict(session)),
            "kruk/lastCompletion": Method(None, lambda _: status.last_completion(session)),
            "window/workDoneProgress/cancel": Method(CancelProgressParams, self._editor.cancel),
            "kruk/countTokens": Method(CountTokensParams, lambda p: chat.count_tokens(session, p)),
            "kruk/chat": Method(ChatParams, lambda p: chat.chat(session, self._editor, p)),
        }

    def _route(self, name: str, is_request: bool) -> Method | None:
        """Find the method, within the order that LSP prescribes: initialize first, nothing after shutdown."""
        if self.session.is_shut_down and name != "exit":
            if is_request:
                raise RpcError(INVALID_REQUEST, f"{name}: the server was shut down")
            return None
        if not self._is_initialized and name not in ("initialize", "exit"):
            if is_request:
                raise RpcError(NOT_INITIALIZED, f"{name}: send `initialize` first")
            return None
        if self._is_initialized and name == "initialize":
            raise RpcError(INVALID_REQUEST, "initialize: the server is initialized already")
        method = self.methods.get(name)
        if method is None and is_request:
            raise RpcError(METHOD_NOT_FOUND, f"{name}: there is no such method")
        return method

    # -- lifecycle ----------------------------------------------------------------------------------------

    def _initialize(self, params: InitializeParams) -> dict[str, Any]:
        session = self.session
        self._client = self._editor.client = read_client(params.capabilities)
        self._is_initialized = True
        folders = [folder.uri for folder in params.workspace_folders or []]
        roots = folders or [*filter(None, [params.root_uri])]
        session.roots = tuple(roots)
        if params.process_id is not None:
            _watch(params.process_id, lambda: self._loop.call_soon_threadsafe(self._end, 1))
        problems = session.configure(params.initialization_options, INITIALIZED_WITH)
        self._apply_log_level()
        configuration.report(session, problems)
        self._loop.call_soon(session.ensure_model)  # the answer goes out first
        self._loop.call_soon(sync.set_roots, session, roots)
        return initialize_result(self._client)

    def _shutdown(self, _params: object) -> None:
        self.session.is_shut_down = True
        for uri in list(self.session.documents):
            self.session.close(uri)

    def _end(self, code: int | None) -> None:
        if not self._ended.done():
            self._ended.set_result(code if code is not None else 0 if self.session.is_shut_down else 1)

    def _apply_log_level(self) -> None:
        logging.getLogger("lsp_server").setLevel(_LEVELS[self.session.settings.log_level])

    # -- from the model's thread --------------------------------------------------------------------------

    def _on_status(self, new: Status) -> None:
        try:
            self._loop.call_soon_threadsafe(self._tell_status, new)
        except RuntimeError:
            log.debug("the loop has ended")

    def _tell_status(self, new: Status) -> None:
        if self.session.is_shut_down or not self._is_initialized:
            return
        if self.session.settings.log_level == "debug":
            log.debug("status: %s", new)
        self.session.tell("kruk/didChangeStatus", status.as_dict(self.session))
        if new.state == "ready":
            self._has_shown_failure = ""
        if new.state == "error" and new.message != self._has_shown_failure:
            self._has_shown_failure = new.message
            log.error("%s", new.message)
            self.session.tell("window/showMessage", {"type": 1, "message": f"Kruk: {new.message}"})


def serve(reader: BinaryIO, writer: BinaryIO, loader_for: LoaderFor, options: object = None) -> int:
    """Serve one client on two byte streams; returns the exit code."""
    _log_to_stderr()

    async def main() -> int:
        return await Server(reader, writer, loader_for, options).run()

    return asyncio.run(main())


def serve_endpoint(port: int, loader_for: LoaderFor, options: object = None) -> int:
    """Serve the completions endpoint alone until Ctrl-C; returns the exit code. Raises KrukError for a taken port."""
    _log_to_stderr()

    async def main() -> None:
        ended = asyncio.Event()
        with contextlib.suppress(NotImplementedError):  # on Windows, where Ctrl-C interrupts `asyncio.run`
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, ended.set)
        session = _session(_log_status, loader_for, lambda *_: None)
        endpoint = Endpoint(session)
        for problem in session.configure(options, STARTED_WITH):
            log.warning("%s", problem)
        logging.getLogger("lsp_server").setLevel(_LEVELS[session.settings.log_level])
        try:
            await endpoint.listen(port)
            session.ensure_model()
            await ended.wait()
        finally:
            await endpoint.stop()
            await _close(session)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
    return 0


def serve_tcp(port: int, loader_for: LoaderFor, options: object = None) -> int:
    """Serve one client that connects to 127.0.0.1; returns the exit code."""
    import socket

    with socket.create_server(("127.0.0.1", port)) as listener:
        _log_to_stderr()
        log.warning("listening on 127.0.0.1:%d", listener.getsockname()[1])
        connection, _ = listener.accept()
    with connection, connection.makefile("rb") as reader, connection.makefile("wb") as writer:
        return serve(reader, writer, loader_for, options)


def _session(
    on_status: Callable[[Status], None], loader_for: LoaderFor, tell: Callable[[str, object], None]
) -> Session:
    """A session that keeps states and suggestions in the cache folder."""
    session = Session(Worker(on_status), loader_for, tell)
    session.memory.states = States(CacheFolder("states", states.DISK_BYTES))
    session.memory.recall = Recall(CacheFolder("documents", recall.DISK_BYTES))
    return session


async def _close(session: Session) -> None:
    """End a session; a model that is not there, or busy, must not delay the end."""
    session.memory.projects.stop()
    if session.worker.model:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(asyncio.wrap_future(session.keep(Urgency.COMPLETION)), KEEP_S)
    session.worker.close()


def _log_status(new: Status) -> None:
    if new.state == "error":
        log.error("%s", new.message)
    elif new.state != "busy":
        log.debug("status: %s", new)


class _LogForwarder(logging.Handler):
    """Sends our own log to the editor's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, notify: Callable[[str, object], None]) -> None:
        super().__init__()
        self._loop, self._notify = loop, notify

    def emit(self, record: logging.LogRecord) -> None:
        kind = _LSP_LEVELS.get(record.levelno, 4)
        try:
            self._loop.call_soon_threadsafe(
                self._notify, "window/logMessage", {"type": kind, "message": self.format(record)}
            )
        except RuntimeError:  # the loop has ended; stderr has the record
            return


def _log_to_stderr() -> None:
    logger = logging.getLogger("lsp_server")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False


def _watch(process_id: int, on_gone: Callable[[], object]) -> None:
    """Call `on_gone` once the client's process is no more, for clients whose pipe stays open somewhere."""

    def watch() -> None:
        import psutil

        while psutil.pid_exists(process_id):
            time.sleep(WATCH_PERIOD_S)
        try:
            on_gone()
        except RuntimeError:
            os._exit(1)
        time.sleep(WATCH_PERIOD_S * 2)
        os._exit(1)  # the loop did not manage it

    threading.Thread(target=watch, name="watch", daemon=True).start()

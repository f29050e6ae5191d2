"""All mutable state of the server, in one place. Changed on the event loop only.

Knows nothing of JSON-RPC: what it has to say to the client goes through `Session.tell`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from lsp_server import power
from lsp_server import settings as settings_module
from lsp_server.chat.conversation import Conversations
from lsp_server.completion import idle
from lsp_server.completion.confidence import too_low
from lsp_server.completion.job import Flight
from lsp_server.completion.memory import Memory
from lsp_server.completion.pipeline import complete
from lsp_server.completion.recall import key_of
from lsp_server.completion.request import CompletionRequest
from lsp_server.completion.trace import Trace
from lsp_server.model import registry
from lsp_server.model.catalogue import DEFAULT_MODEL
from lsp_server.model.worker import Loader, Urgency, Worker
from lsp_server.settings import Settings
from lsp_server.text import Document

STARTED_WITH, INITIALIZED_WITH, CONFIGURED_WITH, CHOSEN = range(4)  # where settings come from, weakest first

JOIN_PERIOD_S = 0.01
KEEP_AFTER_S = 60.0  # of rest: a state that has changed is some 12 MB to write
LINGER_S = 0.3  # so long a cancelled completion goes on, behind everything that somebody waits for
DOUBT_S = 2.0  # so long one that will not be shown: what is typed may make it likely

LoaderFor: TypeAlias = Callable[[Settings], Loader]


@dataclass
class Run:
    """A flight with the task that completes it, and how many requests wait for it."""

    flight: Flight
    task: asyncio.Task[str]
    n_waiting: int = 0

    def cancel(self) -> None:
        """Stop it; what it has evaluated is kept."""
        self.task.cancel()

    def cancel_unless_waited_for(self) -> None:
        """Stop it when nobody has joined it meanwhile."""
        if not self.n_waiting:
            self.cancel()


@dataclass
class Session:
    """One client's session."""

    worker: Worker
    loader_for: LoaderFor
    tell: Callable[[str, object], None]
    settings: Settings = settings_module.read(None).settings
    documents: dict[str, Document] = field(default_factory=dict)
    roots: tuple[str, ...] = ()
    memory: Memory = field(default_factory=Memory)
    conversations: Conversations = field(default_factory=Conversations)
    endpoint: str = ""  # its address, while it listens
    refused_edit: tuple[object, dict[str, Any]] | None = None  # by the editor, with what it was made for
    last_trace: Trace | None = None
    n_requests: int = 0
    n_accepted: int = 0
    is_shut_down: bool = False
    _layers: list[Any] = field(default_factory=lambda: [None, None, None, {}])
    _runs: dict[str, Run] = field(default_factory=dict)  # what was asked for last in each document
    _ahead: Run | None = None  # what may be asked for next
    _idle: list[asyncio.Task[None]] = field(default_factory=list)
    _waiting: dict[str, asyncio.Future[None]] = field(default_factory=dict)  # done: superseded
    _keeper: asyncio.TimerHandle | None = None
    _asked_for: tuple[Any, ...] | None = None
    _asked_for_chat: tuple[Any, ...] | None = None

    # -- documents ----------------------------------------------------------------------------------------

    def put(self, document: Document, root: str | None = None, path: str | None = None) -> None:
        """Open a document, or put its next version in place. `root`, `path`: where it lies in the workspace."""
        self.documents[document.uri] = document
        if path and (project := self.memory.projects.of(root)):
            project.documents[path] = document

    def edited(self, root: str | None, path: str | None, line: int) -> None:
        """Hear where a document was edited last."""
        if path and (project := self.memory.projects.of(root)):
            project.edited(path, line)

    def changed_on_disk(self, root: str | None, path: str | None) -> None:
        """Hear that a file was written, made or deleted."""
        if path and (project := self.memory.projects.of(root)):
            project.index.touch(path)

    def set_roots(self, roots: Mapping[str, Path]) -> None:
        """Take over the workspace's folders."""
        self.roots = tuple(roots)
        wanted = roots if self.settings.context_enabled else {}
        globs = self.settings.completion.exclude_globs
        self.memory.projects.set_roots(wanted, globs, lambda: self.worker.is_at_work)
        for project in self.memory.projects.all:
            project.documents.clear()

    def close(self, uri: str) -> None:
        """Forget a document and everything known about it."""
        closed = self.documents.pop(uri, None)
        for project in self.memory.projects.all:
            project.documents = {path: it for path, it in project.documents.items() if it is not closed}
        self.memory.keep(uri)
        self.memory.forget(uri)
        self._supersede(uri)
        if run := self._runs.pop(uri, None):
            run.cancel()
        if self._ahead and self._ahead.flight.request.document.uri == uri:
            self._stop_looking_ahead()

    # -- settings and model -------------------------------------------------------------------------------

    def configure(self, sent: object, layer: int) -> tuple[str, ...]:
        """Take over settings an editor sent; returns what was wrong with them.

        `layer` is one of STARTED_WITH, INITIALIZED_WITH, CONFIGURED_WITH; a later one goes over an earlier.
        """
        self._layers[layer] = sent
        self.settings, problems = settings_module.read(*self._layers)
        self._forget_suggestions()
        return problems

    def choose(self, name: str, value: object) -> None:
        """Set one option by a command. It stays until the session ends, whatever the editor sends."""
        self.configure({**self._layers[CHOSEN], name: value}, CHOSEN)

    def ensure_model(self) -> None:
        """Load the model that the settings ask for, unless it is the one asked for last and that went well."""
        settings = self.settings
        remote = settings.remote if settings.remote.url else None
        how = (settings.adapters, settings.draft_model, settings.context_size, settings.threads)
        wanted = (settings.model, *how, remote)
        if wanted != self._asked_for or self.worker.status.state == "error":
            self._asked_for = wanted
            self._forget_suggestions()
            self.worker.load(self.loader_for(self.settings))
        self._ensure_chat_model()

    @property
    def has_chat_model(self) -> bool:
        """Whether chats and actions have a model of their own."""
        settings = self.settings
        return settings.chat_model not in ("", settings.model or registry.default_choice() or DEFAULT_MODEL)

    def _ensure_chat_model(self) -> None:
        settings = self.settings
        how = (settings.adapters, settings.draft_model, settings.context_size, settings.threads)
        wanted = (settings.chat_model, *how) if self.has_chat_model else None
        if wanted != self._asked_for_chat:
            self._asked_for_chat = wanted
            own = replace(settings, model=settings.chat_model)
            self.worker.load_chat(self.loader_for(own) if wanted else None)

    def _forget_suggestions(self) -> None:
        remote = self.settings.remote
        model = self.settings.model or registry.default_choice() or DEFAULT_MODEL
        here = " ".join((model, *self.settings.adapters))
        there = repr((remote.url, remote.model, remote.family))
        self.memory.forget_suggestions(key_of(self.settings, there if remote.url else here))
        self._stop_looking_ahead()
        self._in_idle_time()

    # -- completions --------------------------------------------------------------------------------------

    def new_trace(self, uri: str, trigger: str) -> Trace:
        """Begin the trace of a request."""
        self.n_requests += 1
        self.last_trace = Trace(self.n_requests, uri, trigger)
        return self.last_trace

    async def suggest(self, request: CompletionRequest, trace: Trace) -> str | None:
        """Complete a request; None when a newer one in the same document superseded it meanwhile."""
        uri = request.document.uri
        self._supersede(uri)
        superseded = self._waiting[uri] = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(self._suggest(request, trace))
        try:
            await asyncio.wait({task, superseded}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            task.cancel()  # of no effect when it is done
            if self._waiting.get(uri) is superseded:
                del self._waiting[uri]
        return task.result() if task.done() and not task.cancelled() else None

    def _supersede(self, uri: str) -> None:
        waiting = self._waiting.pop(uri, None)
        if waiting and not waiting.done():
            waiting.set_result(None)

    async def _suggest(self, request: CompletionRequest, trace: Trace) -> str:
        await self._join(request, trace)
        run = self._runs[request.document.uri] = self._start(request, trace)
        text = await self._wait_for(run)
        self._keep_later()
        if text:
            self._prepare(run.flight, text)
        return text

    async def _wait_for(self, run: Run) -> str:
        """Wait for a run, until it is clear that what it says will not be shown.

        Then, and when the waiter is cancelled, it goes on for a while: the next key stroke may join it.
        """
        run.n_waiting += 1
        try:
            ends: set[asyncio.Future[Any]] = {run.task, asyncio.wrap_future(run.flight.doubt)}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if run.task.done():
                return run.task.result()
            run.flight.leave(too_low(run.flight.doubt.result(), self.settings.completion.min_confidence))
            self._let_go(run, LINGER_S if power.is_on_battery() else DOUBT_S)
            return ""
        except asyncio.CancelledError:
            run.flight.leave()
            self._let_go(run, LINGER_S)
            raise
        finally:
            run.n_waiting -= 1

    def _let_go(self, run: Run, linger_s: float) -> None:
        """Let a run go on, behind everything that somebody waits for, and stop it after a while."""
        if run.flight.job:
            self.worker.set_urgency(run.flight.job, Urgency.PREFETCH)
        asyncio.get_running_loop().call_later(linger_s, run.cancel_unless_waited_for)

    def _start(self, request: CompletionRequest, trace: Trace) -> Run:
        flight = Flight(request, trace)
        return Run(flight, asyncio.ensure_future(complete(flight, self.settings, self.worker, self.memory)))

    async def _join(self, request: CompletionRequest, trace: Trace) -> None:
        """Wait for work under way that the request can use, as long as it can; stop the rest."""
        uri = request.document.uri
        for run in filter(None, [self._runs.get(uri), self._ahead]):
            if not run.task.done() and run.flight.serves(request):
                run.n_waiting += 1
                with trace.room("joined") as counts:
                    counts["said"] = len(run.flight.said)
                    while not run.task.done() and run.flight.serves(request):
                        self._hurry(run.flight)
                        await asyncio.wait({run.task}, timeout=JOIN_PERIOD_S)
                run.n_waiting -= 1
            if not run.flight.serves(request):
                run.cancel()
        if self._ahead and self._ahead.flight.request.document.uri != uri:
            self._stop_looking_ahead()  # it would take the KV cache from this document

    def _hurry(self, flight: Flight) -> None:
        if flight.job:
            self.worker.set_urgency(flight.job, Urgency.COMPLETION)

    # -- in idle time -------------------------------------------------------------------------------------

    def warm(self, request: CompletionRequest) -> None:
        """Evaluate the prompt of a place where somebody may soon ask."""
        is_asked = any(not run.task.done() for run in self._runs.values())
        if not is_asked and not power.is_on_battery():
            self._in_idle_time(idle.warm(request, self.settings, self.worker, self.memory))

    def _prepare(self, flight: Flight, text: str) -> None:
        """While a suggestion is on screen: make the one that follows it, and the ones beside it."""
        if power.is_on_battery():
            return
        following = flight.request.after_accepting(text)
        if not (self._ahead and self._ahead.flight.request == following):
            self._stop_looking_ahead()
            self._ahead = self._start(following, Trace(0, following.document.uri, following.trigger))
        if flight.outcome:
            branches = idle.branches(flight.outcome, self.worker, self.memory)
            spare = idle.prepare_spare(flight.outcome, self.settings, self.worker, self.memory)
            self._in_idle_time(*branches, spare, idle.follow(flight.outcome, self.worker))

    def _in_idle_time(self, *work: Coroutine[Any, Any, None]) -> None:
        """Do some work in the place of what was to be done before."""
        for task in self._idle:
            task.cancel()
        self._idle = [asyncio.ensure_future(it) for it in work]

    def keep(self, urgency: Urgency) -> Future[None]:
        """Leave on disk what the next run can use."""
        for uri in self.documents:
            self.memory.keep(uri)
        return self.worker.submit(urgency, self.memory.states.flush)

    def _keep_later(self) -> None:
        """Do so once nobody has asked for anything for a while."""
        if self._keeper:
            self._keeper.cancel()
        self._keeper = asyncio.get_running_loop().call_later(KEEP_AFTER_S, self.keep, Urgency.WARM)

    def _stop_looking_ahead(self) -> None:
        if self._ahead:
            self._ahead.cancel()
            self._ahead = None

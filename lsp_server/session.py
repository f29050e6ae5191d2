"""All mutable state of the server, in one place. Changed on the event loop only.

Knows nothing of JSON-RPC: what it has to say to the client goes through `Session.tell`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lsp_server import power
from lsp_server import settings as settings_module
from lsp_server.completion.pipeline import CompletionRequest, Memory, complete
from lsp_server.completion.trace import Trace
from lsp_server.model.worker import Loader, Worker
from lsp_server.settings import Settings
from lsp_server.text import Document

STARTED_WITH, INITIALIZED_WITH, CONFIGURED_WITH, CHOSEN = range(4)  # where settings come from, weakest first

LoaderFor: TypeAlias = Callable[[Settings], Loader]


@dataclass
class Flight:
    """One completion on its way. A newer one in the same document supersedes it."""

    task: asyncio.Task[str]
    is_superseded: bool = False


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
    last_trace: Trace | None = None
    n_requests: int = 0
    n_accepted: int = 0
    is_shut_down: bool = False
    _layers: list[Any] = field(default_factory=lambda: [None, None, None, {}])
    _ahead: asyncio.Future[str] | None = None
    _ahead_of: tuple[str, str, int] | None = None
    _flights: dict[str, Flight] = field(default_factory=dict)
    _asked_for: tuple[Any, ...] | None = None

    # -- documents ----------------------------------------------------------------------------------------

    def put(self, document: Document) -> None:
        """Open a document, or put its next version in place."""
        self.documents[document.uri] = document

    def close(self, uri: str) -> None:
        """Forget a document and everything known about it."""
        self.documents.pop(uri, None)
        self.memory.anchors.pop(uri, None)
        self.memory.cache.forget(uri)
        if flight := self._flights.pop(uri, None):
            flight.is_superseded = True
            flight.task.cancel()

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
        """Load the model that the settings ask for, unless it is the one asked for last."""
        wanted = (self.settings.model, self.settings.context_size, self.settings.threads)
        if wanted != self._asked_for:
            self._asked_for = wanted
            self._forget_suggestions()
            self.worker.load(self.loader_for(self.settings))

    def _forget_suggestions(self) -> None:
        self.memory.cache.clear()
        self._stop_looking_ahead()

    def _stop_looking_ahead(self) -> None:
        self._ahead_of = None
        if self._ahead:
            self._ahead.cancel()
            self._ahead = None

    # -- completions --------------------------------------------------------------------------------------

    def new_trace(self, uri: str, trigger: str) -> Trace:
        """Begin the trace of a request."""
        self.n_requests += 1
        self.last_trace = Trace(self.n_requests, uri, trigger)
        return self.last_trace

    def look_ahead(self, request: CompletionRequest) -> None:
        """Complete what comes next in idle time, into the cache; a newer look ahead takes this one's place."""
        place = (request.document.uri, request.document.text, request.offset)
        if place == self._ahead_of or power.is_on_battery():
            return
        self._stop_looking_ahead()
        self._ahead_of = place
        trace = Trace(0, request.document.uri, request.trigger)
        self._ahead = asyncio.ensure_future(complete(request, self.settings, self.worker, self.memory, trace))

    async def fly(self, uri: str, completion: Coroutine[Any, Any, str]) -> str | None:
        """Run a completion, superseding the one under way in the same document. None when itself superseded."""
        if self._ahead_of and self._ahead_of[0] != uri:  # it would take the KV cache from this document
            self._stop_looking_ahead()
        if previous := self._flights.get(uri):
            previous.is_superseded = True
            previous.task.cancel()
        flight = self._flights[uri] = Flight(asyncio.ensure_future(completion))
        try:
            return await flight.task
        except asyncio.CancelledError:
            if flight.is_superseded:
                return None
            raise
        finally:
            if self._flights.get(uri) is flight:
                del self._flights[uri]

"""What the server asks of the editor: to apply an edit, show a document, and show progress that can be cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from lsp_server.capabilities import Client
from lsp_server.errors import KrukError
from lsp_server.handlers.stream import Stream
from lsp_server.jsonrpc import Connection, RpcError
from lsp_server.protocol import CancelProgressParams

PATIENCE_S = 2.0  # for the answer to what an editor should answer at once

ERROR, WARNING, INFO = 1, 2, 3  # MessageType

log = logging.getLogger(__name__)


class Editor:
    """The editor at the other end. `client` is known from `initialize` on."""

    def __init__(self, connection: Connection) -> None:
        self.client = Client()
        self._connection = connection
        self._running: dict[int | str, asyncio.Task[Any]] = {}
        self._cancelled: set[asyncio.Task[Any]] = set()
        self._numbers = itertools.count(1)

    def tell(self, method: str, params: object) -> None:
        """Send a notification."""
        self._connection.notify(method, params)

    def message(self, text: str, kind: int = WARNING) -> None:
        """Show a sentence to the user."""
        self.tell("window/showMessage", {"type": kind, "message": f"Kruk: {text}"})

    async def apply(self, edit: dict[str, Any], label: str = "") -> None:
        """Have an edit applied. Raises KrukError when it is not.

        Without a label for the many edits that text streams in by: Neovim shows each label as a message.
        """
        params = {"label": label, "edit": edit} if label else {"edit": edit}
        try:
            answer = await self._connection.request("workspace/applyEdit", params)
        except RpcError as error:
            raise KrukError(f"The editor did not apply the edit: {error.message}", "Run it again.") from error
        if not (isinstance(answer, dict) and answer.get("applied")):
            why = (answer or {}).get("failureReason") if isinstance(answer, dict) else None
            raise KrukError(f"The editor did not apply the edit{f': {why}' if why else ''}", "Run it again.")

    async def show(self, uri: str, takes_focus: bool = False, selection: dict[str, Any] | None = None) -> bool:
        """Show a document, beside what the user is at unless it takes the focus; says whether it is shown."""
        if not self.client.shows_documents:
            return False
        params: dict[str, Any] = {"uri": uri, "external": False, "takeFocus": takes_focus}
        if selection:
            params["selection"] = selection
        try:
            answer = await self._connection.request("window/showDocument", params)
        except RpcError as error:
            log.info("the editor does not show %s: %s", uri, error.message)
            return False
        return bool(isinstance(answer, dict) and answer.get("success"))

    @contextlib.asynccontextmanager
    async def progress(
        self, token: int | str | None, title: str, on_text: Callable[[str], None] | None = None
    ) -> AsyncIterator[Stream]:
        """Show progress with a way to cancel the task that is running: on the client's token, else on one of ours."""
        if token is None and self.client.creates_progress:
            token = f"kruk-{next(self._numbers)}"
            try:
                created = self._connection.request("window/workDoneProgress/create", {"token": token})
                await asyncio.wait_for(created, PATIENCE_S)
            except (RpcError, asyncio.TimeoutError):
                token = None
        task = asyncio.current_task()
        if token is not None and task:
            self._running[token] = task
        stream = Stream(self.tell, token, title, on_text)
        try:
            yield stream
        finally:
            stream.end()
            if token is not None:
                self._running.pop(token, None)

    def cancel(self, params: CancelProgressParams) -> None:
        """Stop what the progress is of. A token of something that has ended is none of our business."""
        if task := self._running.get(params.token):
            self._cancelled.add(task)
            task.cancel()

    def was_cancelled(self) -> bool:
        """Whether the running task was stopped by its progress, not by its request."""
        task = asyncio.current_task()
        is_so = task in self._cancelled
        self._cancelled.discard(task)
        return is_so

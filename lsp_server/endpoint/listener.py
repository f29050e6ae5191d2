"""Where the endpoint listens: on 127.0.0.1, at the port that the settings or the command line name, or nowhere."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine

from lsp_server.errors import KrukError
from lsp_server.session import Session

ADDRESS = "127.0.0.1"

log = logging.getLogger(__name__)


class Endpoint:
    """One listener and its connections."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._wanted = 0  # the port that was asked for last
        self._lock = asyncio.Lock()

    async def follow(self) -> bool:
        """Listen where the settings say; returns whether that changed anything. A failure is shown to the user."""
        async with self._lock:
            if (port := self._session.settings.endpoint_port) == self._wanted:
                return False
            await self.stop()
            self._wanted = port
            if port:
                try:
                    await self.listen(port)
                except KrukError as error:
                    log.error("%s", error)
                    self._session.tell("window/showMessage", {"type": 2, "message": f"Kruk: {error}"})
            return True

    async def listen(self, port: int) -> None:
        """Listen at a port, 0: at one that is free. Raises KrukError when it is taken."""
        from lsp_server.endpoint.api import Api  # not at the top: who has it off need not wait for an HTTP library

        api = Api(self._session)
        try:
            self._server = await asyncio.start_server(
                lambda *streams: self._serve(api.converse(*streams)), ADDRESS, port
            )
        except OSError as error:
            why = error.strerror or str(error)
            hint = "If it is another Kruk, ask that one; else choose another port, here and in the editor"
            raise KrukError(f"The endpoint cannot listen on {ADDRESS}:{port}: {why}", hint) from error
        self._session.endpoint = f"http://{ADDRESS}:{self._server.sockets[0].getsockname()[1]}"
        log.info("the endpoint listens on %s", self._session.endpoint)

    async def stop(self) -> None:
        """Close the listener and every connection."""
        if self._server:
            self._server.close()
            self._server, self._session.endpoint = None, ""
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections)

    async def _serve(self, talk: Coroutine[None, None, None]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        with contextlib.suppress(asyncio.CancelledError):  # by `stop`; asyncio's streams would print it
            await talk
        self._connections.discard(task)

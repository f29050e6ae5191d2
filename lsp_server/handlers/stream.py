"""Text that the model is still saying, on its way to the client: `$/progress` on the token of the request.

An editor may render it as Markdown, so it is made harmless here, before anybody hears it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from lsp_server.chat.markdown import Harmless

STREAM_PERIOD_S = 0.05  # one message for all tokens in so much time

Tell = Callable[[str, object], None]


class Stream:
    """Text from the model's thread to `on_text`, on the loop, several tokens at a time.

    A piece may be empty: there is more, but what follows decides how it is shown. With `on_text` None the text goes
    to the progress token, as the messages of reports; without a token nowhere.
    """

    def __init__(
        self, tell: Tell, token: int | str | None, title: str, on_text: Callable[[str], None] | None = None
    ) -> None:
        self._tell, self._token, self._on_text = tell, token, on_text or self._say
        self._loop = asyncio.get_running_loop()
        self._sanitizer = Harmless()
        self._unsent = ""
        self._timer: asyncio.TimerHandle | None = None
        self._send({"kind": "begin", "title": title, "cancellable": True})

    def hear(self, text: str) -> None:
        """Take the next piece of text. May be called from any thread."""
        self._loop.call_soon_threadsafe(self._hear, text)

    def report(self, message: str) -> None:
        """Say something on the progress token at once."""
        self._send({"kind": "report", "message": message})

    def end(self) -> None:
        """Send what is left, and that it is the end. Nothing is sent after it."""
        self._flush()
        if rest := self._sanitizer.end():
            self._on_text(rest)
        self._send({"kind": "end"})
        self._token, self._on_text = None, lambda _: None

    def _say(self, text: str) -> None:
        if text:
            self.report(text)

    def _hear(self, text: str) -> None:
        self._unsent += text
        if self._timer is None:
            self._timer = self._loop.call_later(STREAM_PERIOD_S, self._flush)

    def _flush(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._unsent:
            unsent, self._unsent = self._unsent, ""
            self._on_text(self._sanitizer.feed(unsent))

    def _send(self, value: dict[str, Any]) -> None:
        if self._token is not None:
            self._tell("$/progress", {"token": self._token, "value": value})

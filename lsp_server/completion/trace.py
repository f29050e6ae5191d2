"""What happened in each room on the way to a completion: milliseconds, counts, and why it was empty."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Trace:
    """Filled in while a request walks through the rooms; `as_dict` is the answer to `kruk/lastCompletion`."""

    def __init__(self, number: int, uri: str, trigger: str) -> None:
        self.number = number
        self.uri = uri
        self.trigger = trigger
        self.reason: str | None = "it is still being worked on"  # why there is no suggestion; None when there is one
        self.text = ""
        self._rooms: list[dict[str, Any]] = []
        self._started = self._left = time.perf_counter()
        self._total_ms = 0.0

    @contextmanager
    def room(self, name: str) -> Iterator[dict[str, Any]]:
        """Time a room; what the block puts into the dictionary is shown with it."""
        counts: dict[str, Any] = {}
        started = time.perf_counter()
        try:
            yield counts
        finally:
            self._left = time.perf_counter()
            self._rooms.append({"room": name, "ms": _ms(self._left - started), **counts})

    def waited(self, name: str) -> None:
        """Add a room for the time since the last one was left: the model loads, or works for somebody else."""
        now = time.perf_counter()
        self._rooms.append({"room": name, "ms": _ms(now - self._left)})
        self._left = now

    def end(self, text: str, reason: str | None) -> None:
        """Close the trace with the suggestion, or with the reason that there is none."""
        self.text, self.reason = text, reason
        self._total_ms = _ms(time.perf_counter() - self._started)

    def as_dict(self) -> dict[str, Any]:
        """The trace as plain JSON values."""
        return {
            "id": self.number,
            "uri": self.uri,
            "trigger": self.trigger,
            "totalMs": self._total_ms,
            "text": self.text,
            "reason": self.reason,
            "rooms": self._rooms,
        }


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 2)

"""Suggestions that were already made: typing along one of them, or going back to it, costs nothing."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

N_KEPT = 48
N_BEFORE, N_AFTER = (
    2000,
    1000,
)  # code points around the place that must be unchanged; the model saw little more


@dataclass(frozen=True)
class Suggestion:
    """A text suggested at an offset of a document, with what stood around that place."""

    uri: str
    at: int
    before: str
    after: str
    text: str


class SuggestionCache:
    """The newest suggestions of a session."""

    def __init__(self) -> None:
        self._kept: deque[Suggestion] = deque(maxlen=N_KEPT)

    def add(self, uri: str, text: str, at: int, suggested: str) -> None:
        """Remember what was suggested at offset `at` of a document's text."""
        before, after = text[max(0, at - N_BEFORE) : at], text[at : at + N_AFTER]
        self._kept.append(Suggestion(uri, at, before, after, suggested))

    def find(self, uri: str, text: str, offset: int) -> str | None:
        """Rest of a suggestion that the text at `offset` is on the way of; the newest one that fits.

        It fits when what stood before its place and what follows the cursor are unchanged, and what was typed
        since is its beginning. A suggestion that was typed to its end is none.
        """
        for kept in reversed(self._kept):
            n_typed = offset - kept.at
            if (
                kept.uri == uri
                and 0 <= n_typed < len(kept.text)
                and text.startswith(kept.text[:n_typed], kept.at)
                and text.startswith(kept.before, kept.at - len(kept.before))
                and text[offset : offset + N_AFTER] == kept.after
            ):
                return kept.text[n_typed:]
        return None

    def forget(self, uri: str) -> None:
        """Drop what was suggested in a document."""
        self._kept = deque((kept for kept in self._kept if kept.uri != uri), maxlen=N_KEPT)

    def clear(self) -> None:
        """Drop everything: another model, other settings."""
        self._kept.clear()

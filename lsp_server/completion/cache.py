"""Suggestions that were already made: typing along one of them, or going back to it, costs nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from lsp_server.completion.confidence import Doubt, confidence

N_KEPT = 48
N_BEFORE, N_AFTER = 2000, 1000  # code points around the place that must be unchanged; the model saw little more
MAX_CLOSERS = 8
MAX_OTHERS = 3
CLOSERS = frozenset(")]}>\"'`;")


@dataclass(frozen=True)
class Suggestion:
    """A text suggested at an offset of a document, with what stood around that place.

    `is_branch`: the second best one there, for whoever types against the best.
    """

    uri: str
    at: int
    before: str
    after: str
    text: str
    is_branch: bool = False
    doubts: tuple[Doubt, ...] = ()

    def rest(self, uri: str, text: str, offset: int) -> str | None:
        """What is left of it at `offset`; None when the text is not on its way, or has come to its end.

        It is on its way when what stood before its place and what follows the cursor are unchanged, and what was
        typed since is its beginning. Brackets that the editor has closed meanwhile may stand behind the cursor:
        the rest then ends before them.
        """
        n_typed = offset - self.at
        if (
            self.uri != uri
            or not 0 <= n_typed < len(self.text)
            or not text.startswith(self.text[:n_typed], self.at)
            or not text.startswith(self.before, self.at - len(self.before))
        ):
            return None
        rest = self.text[n_typed:]
        if text[offset : offset + N_AFTER] == self.after:
            return rest
        for n in range(1, MAX_CLOSERS + 1):
            closers = text[offset : offset + n]
            if not n_typed or closers[-1:] not in CLOSERS or not rest.endswith(closers) or "\n" in rest:
                return None
            if text[offset + n : offset + n + N_AFTER] == self.after:
                return rest[:-n] or None
        return None


def placed(
    uri: str, text: str, at: int, suggested: str, doubts: tuple[Doubt, ...] = (), *, is_branch: bool = False
) -> Suggestion:
    """A suggestion at offset `at` of a document's text."""
    before, after = text[max(0, at - N_BEFORE) : at], text[at : at + N_AFTER]
    return Suggestion(uri, at, before, after, suggested, is_branch, doubts)


class Found(NamedTuple):
    """The rest of a suggestion, and how sure the model is of it."""

    text: str
    confidence: float
    is_branch: bool


class SuggestionCache:
    """The newest suggestions of a session."""

    def __init__(self) -> None:
        self._kept: deque[Suggestion] = deque(maxlen=N_KEPT)

    def add(
        self,
        uri: str,
        text: str,
        at: int,
        suggested: str,
        doubts: tuple[Doubt, ...] = (),
        *,
        is_branch: bool = False,
    ) -> None:
        """Remember what was suggested at offset `at` of a document's text."""
        self._kept.append(placed(uri, text, at, suggested, doubts, is_branch=is_branch))

    def find(self, uri: str, text: str, offset: int) -> Found | None:
        """Rest of a suggestion that the text at `offset` is on the way of; the newest that fits, branches last."""
        for is_branch in (False, True):
            for kept in reversed(self._kept):
                if kept.is_branch == is_branch and (rest := kept.rest(uri, text, offset)) is not None:
                    return Found(rest, confidence(kept.doubts, offset - kept.at), kept.is_branch)
        return None

    def others(self, uri: str, text: str, offset: int, shown: str) -> list[str]:
        """The rests of other suggestions that the text at `offset` is on the way of, the newest first."""
        rests = (kept.rest(uri, text, offset) for kept in reversed(self._kept))
        return [rest for rest in dict.fromkeys(rests) if rest and rest != shown][:MAX_OTHERS]

    def of(self, uri: str) -> list[Suggestion]:
        """Suggestions of a document, the oldest first."""
        return [kept for kept in self._kept if kept.uri == uri]

    def put(self, suggestions: Iterable[Suggestion]) -> None:
        """Remember suggestions of an earlier run."""
        self._kept.extend(suggestions)

    def forget(self, uri: str) -> None:
        """Drop what was suggested in a document."""
        self._kept = deque((kept for kept in self._kept if kept.uri != uri), maxlen=N_KEPT)

    def clear(self) -> None:
        """Drop everything: another model, other settings."""
        self._kept.clear()

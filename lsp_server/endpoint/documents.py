"""Documents of clients that show an excerpt with each request and say nothing of the rest, nor of edits.

An excerpt that goes on where an earlier one was is the next version of the same document; what stood around it
then still stands. So offsets and anchors stay when the excerpt moves with the cursor, and the model sees what was
shown before. What lies outside the excerpt may have changed meanwhile: it is context, and never edited.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from lsp_server.endpoint.fim import Place
from lsp_server.syntax.guess import guess_language
from lsp_server.text import Document

N_KEPT = 8
LEAST_PROBE_CHARS = 60  # so much of an excerpt's edge must be found again
MAX_CHARS = 400_000


@dataclass(frozen=True)
class Known:
    """A document as far as it was shown; start <= cursor <= end are the last excerpt's offsets."""

    document: Document
    path: str | None
    start: int
    cursor: int
    end: int


class Documents:
    """The documents that requests came from last, the newest first."""

    def __init__(self, forget: Callable[[str], None]) -> None:
        """forget: hears the URI of each document that is dropped."""
        self._known: list[Known] = []
        self._forget = forget
        self._numbers = count(1)

    def put(self, place: Place) -> Known:
        """Find the document that an excerpt belongs to, or begin one, and put its newest version in place."""
        for known in self._known:
            if following := _follow(known, place):
                self._known.remove(known)
                break
        else:
            following = _begin(f"kruk-endpoint:///{next(self._numbers)}", place)
        self._known.insert(0, following)
        for dropped in self._known[N_KEPT:]:
            self._forget(dropped.document.uri)
        del self._known[N_KEPT:]
        return following


def _begin(uri: str, place: Place) -> Known:
    text = place.prefix + place.suffix
    language_id = "" if place.path else guess_language(text)
    return Known(Document(uri, language_id, 1, text), place.path, 0, len(place.prefix), len(text))


def _follow(known: Known, place: Place) -> Known | None:
    """The document's next version, or None when the excerpt is from another one."""
    if place.path != known.path:
        return None
    text, excerpt = known.document.text, place.prefix + place.suffix
    start = _nearest(text, _first_lines(place.prefix), known.start)
    last = _last_lines(place.suffix)
    end = _nearest(text, last, known.end - len(last))
    end = end + len(last) if end >= 0 else -1
    if start < 0 and end < 0 and _is_typed(known, place):
        start, end = known.start, known.end
    if start < 0 and end < 0:
        return None
    above = text[: max(start, 0)]
    below = text[end:] if end > start else ""
    if len(above) + len(excerpt) + len(below) > MAX_CHARS:
        above = below = ""
    whole = above + excerpt + below
    document = known.document
    language_id = document.language_id
    if not language_id and not place.path and whole.count("\n") != text.count("\n"):
        language_id = guess_language(whole)
    following = Document(document.uri, language_id, document.version + 1, whole)
    return Known(following, place.path, len(above), len(above) + len(place.prefix), len(above) + len(excerpt))


def _first_lines(prefix: str) -> str:
    """The fewest whole lines at the beginning that are long enough to be told from others, "" when none are."""
    end = prefix.find("\n", LEAST_PROBE_CHARS) + 1
    return prefix[:end]


def _last_lines(suffix: str) -> str:
    """The same at the end; the cursor's line does not count."""
    start = suffix.rfind("\n", 0, max(len(suffix) - LEAST_PROBE_CHARS, 0)) + 1
    return suffix[start:] if start else ""


def _nearest(text: str, probe: str, at: int) -> int:
    """Offset of the occurrence nearest to an offset, -1 when there is none."""
    if not probe:
        return -1
    before, after = text.rfind(probe, 0, at + len(probe)), text.find(probe, max(at, 0))
    found = [offset for offset in (before, after) if offset >= 0]
    return min(found, key=lambda offset: abs(offset - at), default=-1)


def _is_typed(known: Known, place: Place) -> bool:
    """Whether only the cursor's end of what stands before it changed, in an excerpt with few lines."""
    text = known.document.text
    before = text[known.start : known.cursor]
    is_same_suffix = place.suffix == text[known.cursor : known.end]
    return is_same_suffix and (place.prefix.startswith(before) or before.startswith(place.prefix))

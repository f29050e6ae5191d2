"""What earlier runs knew of a document: where its anchor stood, and what was suggested in it last.

With the anchor the prompt of a place is the same after a restart, so that its saved state (model/states.py) is
found; a suggestion that still fits is shown before the model is even loaded. Neither is trusted: the anchor holds
only while the text above it is what it was, a suggestion only between the texts that it was made for.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from lsp_server import __version__
from lsp_server.completion.cache import Suggestion
from lsp_server.context.window import Anchored
from lsp_server.paths import CacheFolder
from lsp_server.settings import Settings

DISK_BYTES = 16 << 20
MAX_FILE_BYTES = 1 << 20
N_SUGGESTIONS = 12  # about 3,000 characters each
_DIGEST_BYTES = 16

log = logging.getLogger(__name__)


class Recalled(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of one document, the oldest suggestion first."""

    anchored: Anchored | None = None
    suggestions: tuple[Suggestion, ...] = ()


class Recall:
    """The documents of earlier runs, a small file for each."""

    def __init__(self, folder: CacheFolder) -> None:
        self._folder = folder
        self._written: dict[str, bytes] = {}  # digests, by name: idle time comes often, changes do not

    def load(self, uri: str, key: str) -> Recalled:
        """What was kept of a document; nothing when its file is damaged, or was made with another `key`."""
        path = self._folder.at(_name(uri, key))
        try:
            with path.open("rb") as stream:
                raw = stream.read(MAX_FILE_BYTES + 1)
            digest, page = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
            if digest != _digest(page):
                raise ValueError("it is damaged")
            recalled = msgspec.msgpack.decode(page, type=Recalled)
            if not _is_sound(recalled, uri):
                raise ValueError("it makes no sense")
        except FileNotFoundError:
            return Recalled()
        except (OSError, ValueError, RecursionError) as error:
            log.debug("%s is not read: %s", path, error)
            return Recalled()
        self._written[path.stem] = digest
        return recalled

    def save(self, uri: str, key: str, anchored: Anchored | None, suggestions: Sequence[Suggestion]) -> None:
        """Keep what is known of a document, its newest suggestions only."""
        if anchored is None and not suggestions:
            return
        name = _name(uri, key)
        try:
            page = msgspec.msgpack.encode(Recalled(anchored, tuple(suggestions[-N_SUGGESTIONS:])))
        except UnicodeEncodeError as error:  # half of a surrogate pair
            log.debug("%s is not kept: %s", name, error)
            return
        digest = _digest(page)
        if len(page) > MAX_FILE_BYTES - _DIGEST_BYTES or self._written.get(name) == digest:
            return
        if self._folder.write(name, digest, page):
            self._written[name] = digest


def key_of(settings: Settings, model: str) -> str:
    """What suggestions and windows depend on, besides the text: this Kruk, the model, some settings."""
    options = settings.completion
    return repr(
        (
            __version__,
            model,
            options.multiline,
            options.max_tokens,
            settings.context_enabled,
            settings.context_budget_tokens,
        )
    )


def _name(uri: str, key: str) -> str:
    return blake2b(f"{uri}\n{key}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _digest(page: bytes) -> bytes:
    return blake2b(page, digest_size=_DIGEST_BYTES).digest()


def _is_sound(recalled: Recalled, uri: str) -> bool:
    """Whether the windows are such as `place` makes them, and the suggestions are of this document."""
    if anchored := recalled.anchored:
        start, anchor = anchored.window.start, anchored.window.anchor
        near = anchored.near
        if not (0 <= start <= near.start <= anchor == near.anchor and len(anchored.head) == anchor - start):
            return False
    return all(kept.uri == uri and kept.at >= len(kept.before) and kept.text for kept in recalled.suggestions)

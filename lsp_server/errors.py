"""What can go wrong, each with what happened and what to do next.

KrukError
├── ModelError
│   ├── ModelFileError      the GGUF is unreadable, truncated or hostile
│   ├── ModelTooLarge       it cannot fit into this machine's memory
│   ├── ModelNotFound       no such id or file; or known, but not on this machine
│   ├── ModelLoadError      llama.cpp refused it
│   └── ServerError         the server that runs it is not there, or stopped answering
├── DownloadError           no source gave the file, the hash is wrong, the disk is full
└── CatalogueError          models.json or a user's own copy of it is not valid

A completion never shows one of these to the editor: it ends empty, with the text as its reason.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class KrukError(Exception):
    """An error for the person at the keyboard: `what` happened, and a `hint` at the next step."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        """One line: what happened, then the hint."""
        return f"{self.what}. {self.hint}" if self.hint else self.what


class ModelError(KrukError):
    """Something about a model or its file."""


class ModelFileError(ModelError):
    """The file is not a GGUF that may be given to llama.cpp."""


class ModelTooLarge(ModelError):
    """The model needs more memory than this machine has."""


class ModelNotFound(ModelError):
    """No model of that name, or none on this machine: then `pullable` is what `kruk models pull` wants."""

    def __init__(self, what: str, hint: str = "", pullable: str = "") -> None:
        super().__init__(what, hint)
        self.pullable = pullable


class ModelLoadError(ModelError):
    """llama.cpp could not load the file."""


class ServerError(ModelError):
    """The server that runs the model cannot be used now. It is looked for again when somebody asks."""


class DownloadError(KrukError):
    """A file could not be fetched, or is not what it should be."""


class CatalogueError(KrukError):
    """A models.json that does not follow its schema."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Say which known names are close to `word`: "did you mean `a` or `b`?", or "" when none is."""
    close = difflib.get_close_matches(word.lower(), list(known), n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(f'`{name}`' for name in close)}?" if close else ""

"""Which actions there are: the user's own, the built-in ones, and the workspace's, the first of a name.

So a workspace that somebody else wrote cannot put its words in place of those that the user knows.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable
from pathlib import Path

from lsp_server.actions.action import Action, read_action
from lsp_server.errors import KrukError
from lsp_server.paths import data_dir

BUILT_IN = ("fix", "explain", "document", "tests", "edit", "simplify")  # as they are offered; each has a command
BUILT_IN_FOLDER = Path(__file__).parents[1] / "prompts" / "actions"
MAX_BYTES = 100_000

log = logging.getLogger(__name__)


def actions(roots: Iterable[Path]) -> list[Action]:
    """All actions, built-in ones first. `roots`: the workspace's folders.

    Cheap enough for every move of the cursor: a file is read again only when it has changed. What is wrong with one
    is logged when it is read.
    """
    found: dict[str, Action] = {}
    for folder in (data_dir() / "actions", BUILT_IN_FOLDER, *(root / ".kruk" / "actions" for root in roots)):
        for path in _files(folder):
            try:
                status = path.stat()
            except OSError:
                continue
            action = _read(path, status.st_mtime_ns, status.st_size)
            if action:
                found.setdefault(action.name, action)
    return sorted(found.values(), key=lambda action: (_rank(action.name), action.title))


def _rank(name: str) -> int:
    return BUILT_IN.index(name) if name in BUILT_IN else len(BUILT_IN)


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(
            path for path in folder.iterdir() if path.suffix == ".md" and not path.name.startswith("README")
        )
    except OSError:
        return []


@functools.lru_cache(maxsize=256)
def _read(path: Path, _changed_ns: int, size: int) -> Action | None:
    try:
        if size > MAX_BYTES:
            raise KrukError(f"The action `{path.name}` is not read: it has {size:,} bytes", "Make it shorter")
        return read_action(path.stem, path.read_text(encoding="utf-8"))
    except KrukError as error:
        log.warning("%s (in %s)", error, path.parent)
    except (OSError, UnicodeDecodeError) as error:
        log.warning("The action `%s` cannot be read: %s (in %s)", path.name, error, path.parent)
    return None

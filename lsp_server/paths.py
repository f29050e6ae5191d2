"""Where Kruk keeps its files. `KRUK_HOME` replaces all of the operating system's own folders."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import platformdirs

CACHED = "*.kruk"
ANSWERS = "explanation-*.md"  # explanations on screen, in the folder `answers`
CLEARED = (f"*/{CACHED}", f"answers/{ANSWERS}")  # and nothing else: a KRUK_HOME may hold other people's files

log = logging.getLogger(__name__)


def data_dir() -> Path:
    """Models and the chosen default: large, worth keeping."""
    home = os.environ.get("KRUK_HOME")
    return Path(home).expanduser() if home else Path(platformdirs.user_data_dir("kruk", appauthor=False))


def models_dir() -> Path:
    """One GGUF file per model and quantisation."""
    return data_dir() / "models"


def log_dir() -> Path:
    """Logs of the server, when a file is asked for."""
    home = os.environ.get("KRUK_HOME")
    return Path(home).expanduser() / "log" if home else Path(platformdirs.user_log_dir("kruk", appauthor=False))


def cache_dir() -> Path:
    """What saves time and may go at any moment. It holds the user's text, so nobody else may read it."""
    home = os.environ.get("KRUK_HOME")
    return Path(home).expanduser() / "cache" if home else Path(platformdirs.user_cache_dir("kruk", appauthor=False))


def cache_bytes() -> int:
    """How much is in the cache folder."""
    return sum(size for size, _, _ in _cleared())


def clear_cache() -> int:
    """Delete what is in the cache folder; returns how many bytes that freed."""
    return sum(size for size, _, path in _cleared() if _remove(path))


class CacheFolder:
    """A folder of the cache, for files that only the user may read; the oldest go when it is full.

    Nothing here raises: a disk that is full or read-only means that nothing is kept, and another process may
    delete any file at any time.
    """

    def __init__(self, name: str, most_bytes: int) -> None:
        self.path = cache_dir() / name
        self._most_bytes = most_bytes

    def names(self) -> list[str]:
        """Names of the files, the oldest first."""
        return [path.stem for _, _, path in sorted(_files(self.path.glob(CACHED)), key=lambda file: file[1])]

    def at(self, name: str) -> Path:
        """Path of a file, which may not be there."""
        return self.path / f"{name}{CACHED[1:]}"

    def write(self, name: str, *parts: bytes | memoryview) -> bool:
        """Write a file, whole or not at all, then make room; says whether it worked."""
        draft = None
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, draft = tempfile.mkstemp(CACHED[1:], "draft-", self.path)  # with mode 0600
            with os.fdopen(handle, "wb") as stream:
                stream.writelines(parts)
            Path(draft).replace(self.at(name))
        except OSError as error:
            log.debug("nothing is kept in %s: %s", self.path, error)
            if draft:
                _remove(Path(draft))
            return False
        self._trim()
        return True

    def touch(self, name: str) -> None:
        """Make a file the newest."""
        with contextlib.suppress(OSError):
            os.utime(self.at(name))

    def remove(self, name: str) -> None:
        """Delete a file that may not be there."""
        _remove(self.at(name))

    def _trim(self) -> None:
        files = sorted(_files(self.path.glob(CACHED)), key=lambda file: file[1])
        excess = sum(size for size, _, _ in files) - self._most_bytes
        for size, _, path in files[:-1]:
            if excess <= 0:
                return
            _remove(path)
            excess -= size


def _cleared() -> list[tuple[int, float, Path]]:
    return _files(path for pattern in CLEARED for path in cache_dir().glob(pattern))


def _files(paths: Iterable[Path]) -> list[tuple[int, float, Path]]:
    """Size, time of the last change, and path of each file that is still there."""
    files = []
    with contextlib.suppress(OSError):
        for path in paths:
            with contextlib.suppress(OSError):
                status = path.lstat()
                files.append((status.st_size, status.st_mtime, path))
    return files


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError as error:
        log.debug("%s is not deleted: %s", path, error)
        return False
    return True

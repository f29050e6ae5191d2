"""A file on its way here: what is there of it already, where it came from, and who is writing it.

It knows nothing about networks: download_http.py and download_wheels.py write through it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from lsp_server.errors import DownloadError

Write = Callable[[bytes], None]


@dataclass(frozen=True)
class Progress:
    """What a pull is doing: `text` is the source's name, or a note for the user."""

    stage: Literal["source", "failed", "download", "verify", "note"]
    done_bytes: int = 0
    total_bytes: int | None = None
    text: str = ""


Report = Callable[[Progress], None]


class SourceFailed(Exception):
    """One source did not give the file; the text says why. The next one is tried."""


def size_text(n_bytes: int) -> str:
    """A size to read, in decimal units: "491 MB", "1.12 GB"."""
    if n_bytes >= 1_000_000_000:
        return f"{n_bytes / 1e9:.2f} GB"
    return f"{n_bytes / 1e6:.0f} MB" if n_bytes >= 1_000_000 else f"{n_bytes / 1e3:.0f} kB"


def free_bytes(folder: Path) -> int:
    """Free space of the disk that `folder` is on."""
    return shutil.disk_usage(folder).free


def leftovers(target: Path) -> list[Path]:
    """What an unfinished download of `target` has left behind: files and folders."""
    part = PartFile(target)
    return [path for path in (part.path, part.journal, part.folder) if path.exists()]


class PartFile:
    """`NAME.part` beside the file it will become, with a journal that says how to go on with it."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self.journal = target.with_name(f"{target.name}.part.json")
        self.folder = target.with_name(f"{target.name}.part.d")
        """For the temporary files of a source."""

    @property
    def size(self) -> int:
        """Bytes that are here; 0 when nothing is."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def noted(self, origin: str) -> dict[str, object]:
        """What was noted when `origin` last wrote; {} when it never did or something else wrote since."""
        try:
            journal = json.loads(self.journal.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return journal if isinstance(journal, dict) and journal.get("origin") == origin else {}

    def note(self, origin: str, **facts: str | int | None) -> None:
        """Replace the journal: the part file is now by `origin`."""
        draft = self.journal.with_suffix(".tmp")
        with self._writing():
            draft.write_text(json.dumps({"origin": origin, **facts}), "utf-8")
            draft.replace(self.journal)

    @contextmanager
    def appended(self, offset: int) -> Iterator[Write]:
        """Cut the part file to `offset` bytes and yield a function that writes what comes next.

        Raises DownloadError, with figures, when the disk is full or cannot be written.
        """
        with self._writing():
            file = self.path.open("r+b" if self.path.exists() else "w+b", buffering=0)
        try:
            with self._writing():
                file.truncate(offset)
                file.seek(offset)

            def write(data: bytes) -> None:
                with self._writing():
                    rest = memoryview(data)
                    while rest:
                        rest = rest[_write(file.fileno(), rest) :]

            yield write
            with self._writing():
                os.fsync(file.fileno())
        finally:
            file.close()

    def finish(self) -> None:
        """Give the file its final name, in one step, and drop the rest."""
        with self._writing():
            self.path.replace(self.target)
        self.drop()

    def drop(self) -> None:
        """Delete whatever there is."""
        self.path.unlink(missing_ok=True)
        self.journal.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            figures = f"it has {size_text(self.size)}"
            with suppress(OSError):
                figures += f", {size_text(free_bytes(self.path.parent))} of its disk are free"
            raise DownloadError(
                f"`{self.path}` cannot be written: {error.strerror or error}; {figures}",
                "Make room or set KRUK_HOME to a folder on a larger disk, then run the same command to go on",
            ) from error


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Keep other processes from downloading `target`. A lock whose process has ended is taken over.

    Raises DownloadError when another process is at it.
    """
    lock = target.with_name(f"{target.name}.lock")
    for _ in range(2):
        try:
            handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            owner = _owner(lock)
            if owner is not None:
                raise DownloadError(
                    f"`{target.name}` is being downloaded by process {owner}", "Wait for it, or stop it first"
                ) from None
            lock.unlink(missing_ok=True)
        except OSError as error:
            hint = "Check its permissions, or set KRUK_HOME to another folder"
            raise DownloadError(f"`{target.parent}` cannot be written: {error.strerror}", hint) from error
        else:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"pid": os.getpid(), "started": psutil.Process().create_time()}, file)
            break
    else:
        raise DownloadError(f"`{lock.name}` comes back as soon as it is deleted", "Run the same command again")
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _owner(lock: Path) -> int | None:
    """The process that holds the lock, or None when it has ended (or its number went to another one)."""
    try:
        held: Mapping[str, float] = json.loads(lock.read_text("utf-8"))
        pid, started = int(held["pid"]), float(held["started"])
        if psutil.pid_exists(pid) and abs(psutil.Process(pid).create_time() - started) < 2:
            return pid
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        pass
    return None


def _write(handle: int, data: memoryview) -> int:
    """`os.write`, under a name that a test can make fail."""
    return os.write(handle, data)

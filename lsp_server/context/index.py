"""The index of one workspace: made in the background, kept between runs, never in the way of typing.

`Index` may be used from any thread. Its own thread walks the workspace, reads what is new or changed, and walks it
again every few minutes; `touch` tells it of a change at once. That thread is not a nice one: a nice thread waits for
a processor while it holds the GIL, and everybody waits with it. It rests between files instead. Where the database
cannot be made or written there is no index, and nobody is told more than the log.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from lsp_server.context.languages import project_files, readings
from lsp_server.context.reading import read_text
from lsp_server.context.store import Entry, Stamp, Store, remove, version
from lsp_server.context.walk import Folder, Walker
from lsp_server.paths import CacheFolder
from lsp_server.syntax.definitions import Outline, has_outline, outline_of_either
from lsp_server.syntax.languages import Language, language_for

RESCAN_SECONDS = 300.0
RESCAN_SHARE = 50  # a walk that takes long is repeated less often
BUSY_SECONDS = 0.02  # between two looks at whether the server is still busy
REST_SHARE = 0.25  # of the time spent on a file, rested after it
BATCH_FILES, BATCH_SECONDS = 64, 1.0
MAX_FILES = 200_000
MOST_CACHE_BYTES = 2_000_000_000

log = logging.getLogger(__name__)

T = TypeVar("T")
U = TypeVar("U")


class _Stopped(Exception):
    """The index is being closed."""


@dataclass(frozen=True)
class IndexStatus:
    """For whoever asks how far it is: files with an outline, and whether a walk is under way."""

    n_files: int
    is_scanning: bool


class Index:
    """The files of one workspace folder, and what each defines and imports."""

    def __init__(
        self, root: Path, exclude_globs: tuple[str, ...] = (), is_busy: Callable[[], bool] = lambda: False
    ) -> None:
        """Open the saved index of `root`, or an empty one; nothing is read until `start`.

        `is_busy` is asked often, from the index's thread, whether the server has something better to do.
        """
        self.root = root.resolve()
        self._exclude_globs, self._is_busy = exclude_globs, is_busy
        self._store = self._open()
        self._writer: Store | None = None  # of the thread alone, so that nobody waits while it writes
        self._thread = threading.Thread(target=self._run, name="kruk-index", daemon=True)
        self._wake, self._is_stopping, self._is_idle = threading.Event(), threading.Event(), threading.Event()
        self._touched: set[str] = set()
        self._touched_lock = threading.Lock()
        self._wants_scan = True
        self._is_damaged = False

    # -- its life ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to walk the workspace, and go on watching it."""
        if self._store:
            self._thread.start()
        else:
            self._is_idle.set()

    def stop(self, timeout: float = 2.0) -> None:
        """End the thread, between two files at the latest, and close the database."""
        self._is_stopping.set()
        self._wake.set()
        if self._thread.ident:
            self._thread.join(timeout)
        if self._store:
            self._store.close()
            if self._is_damaged:
                remove(self._path)

    def touch(self, path: str) -> None:
        """Say that a file was opened, saved, made, changed or deleted. `path` is relative to the root, with `/`."""
        with self._touched_lock:
            self._touched.add(path)
            self._is_idle.clear()
        self._wake.set()

    def rescan(self) -> None:
        """Walk the workspace again soon."""
        with self._touched_lock:
            self._wants_scan = True
            self._is_idle.clear()
        self._wake.set()

    def wait(self, timeout: float) -> bool:
        """Block until there is nothing left to read; False when that takes longer than `timeout` seconds."""
        return self._is_idle.wait(timeout)

    def status(self) -> IndexStatus:
        """How far it is."""
        return IndexStatus(self._ask(Store.n_files, 0), not self._is_idle.is_set())

    # -- what it knows ----------------------------------------------------------------------------------------

    def outline(self, path: str) -> Outline | None:
        """What a file defines and imports as it is on disk now; None for a file that is not indexed.

        A file that has changed since it was indexed is read at once.
        """
        known = self._ask(lambda store: store.outline(path), None)
        if known is None or known[1] is None:
            return None
        stamp, outline = known
        try:
            status = (self.root / path).stat()
        except OSError:
            return None
        if (status.st_mtime_ns, status.st_size) == stamp:
            return outline
        self.touch(path)
        return self._read(path, lambda: None)

    def has(self, path: str) -> bool:
        """Whether a file is known: one with an outline, or one that says where imports lead."""
        return self._ask(lambda store: store.has(path), False)

    def ending(self, suffix: str) -> list[str]:
        """Known files whose path ends with whole parts `suffix`."""
        return self._ask(lambda store: store.ending(suffix), [])

    def in_folder(self, folder: str) -> list[str]:
        """Files with an outline directly in a folder."""
        return self._ask(lambda store: store.in_folder(folder), [])

    def defining(self, name: str, is_member: bool = False) -> list[str]:
        """Files that define a name; many: nine of them."""
        return self._ask(lambda store: store.defining(name, is_member), [])

    def _ask(self, question: Callable[[Store], T], otherwise: U) -> T | U:
        return self._ask_of(self._store, question, otherwise)

    def _ask_of(self, store: Store | None, question: Callable[[Store], T], otherwise: U) -> T | U:
        try:
            return question(store) if store else otherwise
        except (sqlite3.Error, zlib.error, msgspec.DecodeError) as error:
            log.debug("the index of %s does not answer: %s", self.root, error)
            self._is_damaged |= type(error) is not sqlite3.OperationalError
            return otherwise

    # -- its thread -------------------------------------------------------------------------------------------

    def _open(self) -> Store | None:
        folder = CacheFolder("index", MOST_CACHE_BYTES)
        root = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:24]
        name = f"{root}-{version()}"
        self._path = folder.at(name)
        try:
            folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make_room(folder, root, name)
            store = Store(self._path)
        except (OSError, sqlite3.Error) as error:
            log.info("%s is not indexed: %s", self.root, error)
            return None
        folder.touch(name)
        return store

    def _run(self) -> None:
        try:
            self._writer = Store(self._path)
            next_scan = time.monotonic()
            while not self._is_stopping.is_set():
                self._wake.clear()
                self._look_at_touched()
                with self._touched_lock:
                    is_due = self._wants_scan or time.monotonic() >= next_scan
                    self._wants_scan = False
                if is_due:
                    began = time.monotonic()
                    self._scan()
                    next_scan = time.monotonic() + max(RESCAN_SECONDS, RESCAN_SHARE * (time.monotonic() - began))
                with self._touched_lock:
                    if not self._touched and not self._wants_scan:
                        self._is_idle.set()
                self._wake.wait(max(0.0, next_scan - time.monotonic()))
        except _Stopped:
            pass
        except Exception:  # an index is never worth a crash
            log.exception("the index of %s stops", self.root)
        if self._writer:
            self._writer.close()
        self._is_idle.set()

    def _pause(self) -> None:
        """Wait while the server is busy."""
        while not self._is_stopping.is_set() and self._is_busy():
            time.sleep(BUSY_SECONDS)
        if self._is_stopping.is_set():
            raise _Stopped

    def _scan(self) -> None:
        batch = _Batch(self._writer)
        walker = Walker(self.root, self._exclude_globs)
        seen: set[str] = set()
        n_files = 0
        for folder in walker.folders():
            self._pause()
            seen.add(folder.path)
            n_files += len(folder.files)
            if n_files > MAX_FILES:
                log.info("%s has more than %d files: the rest is not indexed", self.root, MAX_FILES)
                break
            self._look_into(folder, batch)
            self._look_at_touched()
        batch.write()
        if n_files <= MAX_FILES:
            for gone in set(self._ask_of(self._writer, Store.folders, ())) - seen:
                self._pause()
                self._remove(gone, self._stamps(gone))

    def _look_into(self, folder: Folder, batch: _Batch) -> None:
        """Read what is new or changed in a folder, and forget what is gone."""
        wanted = {name: stamp for name, stamp in folder.files.items() if _is_wanted(name)}
        known = self._stamps(folder.path)
        if gone := known.keys() - wanted.keys():
            self._remove(folder.path, gone)
        for name, stamp in wanted.items():
            if known.get(name) != stamp:
                path = f"{folder.path}/{name}" if folder.path else name
                with self._resting():
                    batch.add(Entry(folder.path, name, stamp, self._read(path, self._pause)))

    def _look_at_touched(self) -> None:
        with self._touched_lock:
            paths, self._touched = self._touched, set()
        if not paths:
            return
        batch = _Batch(self._writer)
        walker = Walker(self.root, self._exclude_globs)
        for path in sorted(paths):
            self._pause()
            folder, _slash, name = path.rpartition("/")
            if not _is_wanted(name):
                continue
            stamp = walker.stamp(path)
            if stamp is None:
                self._remove(folder, [name])
            elif self._stamps(folder).get(name) != stamp:
                batch.add(Entry(folder, name, stamp, self._read(path, self._pause)))
        batch.write()

    def _stamps(self, folder: str) -> dict[str, Stamp]:
        return self._ask_of(self._writer, lambda store: store.stamps(folder), {})

    def _remove(self, folder: str, names: Collection[str]) -> None:
        self._ask_of(self._writer, lambda store: store.remove(folder, names), None)

    def _read(self, path: str, pause: Callable[[], None]) -> Outline | None:
        language = _language(path)
        text = read_text(self.root / path) if language else None
        if language is None or text is None:
            return None
        try:
            return outline_of_either(text, readings(language), pause)
        except _Stopped:
            raise
        except Exception as error:  # one file must not be the end of the index
            log.debug("%s has no outline: %r", path, error)
            return None

    @contextlib.contextmanager
    def _resting(self) -> Iterator[None]:
        began = time.thread_time()
        yield
        time.sleep(REST_SHARE * (time.thread_time() - began))


class _Batch:
    """Files on their way into the store: many in one short transaction, so that other processes seldom wait."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._entries: list[Entry] = []
        self._began = time.monotonic()

    def add(self, entry: Entry) -> None:
        """Keep a file for the next write, which may be now."""
        self._entries.append(entry)
        if len(self._entries) >= BATCH_FILES or time.monotonic() - self._began > BATCH_SECONDS:
            self.write()

    def write(self) -> None:
        """Write what has come together. What another process's lock prevents is read again at the next walk."""
        try:
            if self._store and self._entries:
                self._store.put(self._entries)
        except sqlite3.Error as error:
            log.debug("%d files are not indexed: %s", len(self._entries), error)
        self._entries = []
        self._began = time.monotonic()


def _is_wanted(name: str) -> bool:
    return name in project_files() or _language(name) is not None


def _language(path: str) -> Language | None:
    language = language_for("", path)
    return language if language and has_outline(language) else None


def _make_room(folder: CacheFolder, root: str, mine: str) -> None:
    """Delete what an older version made of this workspace, and what was not used for longest when all is too much."""
    sizes = {}
    for name in folder.names():
        with contextlib.suppress(OSError):
            sizes[name] = folder.at(name).stat().st_size
    for name in list(sizes):  # the oldest first
        if name != mine and (name.startswith(root) or sum(sizes.values()) > MOST_CACHE_BYTES):
            remove(folder.at(name))
            del sizes[name]

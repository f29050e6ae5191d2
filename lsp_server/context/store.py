"""The index's file: one SQLite database for each workspace, safe between threads and processes.

Paths are relative to the workspace, with `/`. One row a file with its outline as a compressed blob, and one a name
that is defined in it. Knows nothing of what is in a file or which files belong to a workspace.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from lsp_server.syntax import definitions
from lsp_server.syntax.definitions import Outline
from lsp_server.syntax.languages import languages, query_text

MOST_DEFINING = 8  # a name that is defined in more files means little
MOST_PATHS = 64
LOCK_SECONDS = 5.0

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS files (
      id INTEGER PRIMARY KEY, folder TEXT NOT NULL, name TEXT NOT NULL, backwards TEXT NOT NULL,
      mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL, outline BLOB, UNIQUE (folder, name))""",
    "CREATE INDEX IF NOT EXISTS files_backwards ON files (name, backwards)",
    "CREATE INDEX IF NOT EXISTS files_read ON files (folder, name) WHERE outline IS NOT NULL",
    """CREATE TABLE IF NOT EXISTS names (
      name TEXT NOT NULL, is_member INTEGER NOT NULL, file INTEGER NOT NULL,
      PRIMARY KEY (name, is_member, file)) WITHOUT ROWID""",
)


class Stamp(NamedTuple):
    """What tells that a file has changed."""

    mtime_ns: int
    size: int


class Entry(NamedTuple):
    """A file to be put into the store; without an outline it is only known to exist."""

    folder: str
    name: str
    stamp: Stamp
    outline: Outline | None


class Store:
    """One connection to the database. Threads may share one, but those that read wait while another writes."""

    def __init__(self, path: Path) -> None:
        """Open the database, making it anew when it is damaged.

        Raises:
            OSError, sqlite3.Error: It cannot be made.
        """
        self._lock = threading.Lock()
        if not path.exists():
            remove(path)  # the journal of one that somebody deleted would be played into the new one
        try:
            self._connection = _connect(path)
        except sqlite3.OperationalError:  # locked, or no place to write
            raise
        except sqlite3.DatabaseError:
            remove(path)
            self._connection = _connect(path)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    # -- what the indexer asks and says -----------------------------------------------------------------------

    def stamps(self, folder: str) -> dict[str, Stamp]:
        """The known files of one folder, by name."""
        rows = self._all("SELECT name, mtime_ns, size FROM files WHERE folder = ?", folder)
        return {name: Stamp(mtime_ns, size) for name, mtime_ns, size in rows}

    def folders(self) -> list[str]:
        """Every folder with a known file."""
        return [folder for (folder,) in self._all("SELECT DISTINCT folder FROM files")]

    def put(self, entries: Iterable[Entry]) -> None:
        """Put files in, over what was known of them."""
        with self._writing() as connection:
            for folder, name, stamp, outline in entries:
                _forget(connection, folder, name)
                blob = zlib.compress(msgspec.msgpack.encode(outline), 1) if outline else None
                row = (folder, name, _backwards(folder), *stamp, blob)
                file = connection.execute(
                    "INSERT INTO files (folder, name, backwards, mtime_ns, size, outline) VALUES (?, ?, ?, ?, ?, ?)",
                    row,
                ).lastrowid
                names = {(name, is_member, file) for name, is_member in names_of(outline)} if outline else ()
                connection.executemany("INSERT INTO names VALUES (?, ?, ?)", sorted(names))

    def remove(self, folder: str, names: Iterable[str]) -> None:
        """Forget files that are gone."""
        with self._writing() as connection:
            for name in names:
                _forget(connection, folder, name)

    # -- what the rooms above ask ------------------------------------------------------------------------------

    def n_files(self) -> int:
        """How many files have an outline."""
        return int(self._all("SELECT count(*) FROM files WHERE outline IS NOT NULL")[0][0])

    def outline(self, path: str) -> tuple[Stamp, Outline | None] | None:
        """What is known of a file; None when the file is not."""
        rows = self._all("SELECT mtime_ns, size, outline FROM files WHERE folder = ? AND name = ?", *split(path))
        if not rows:
            return None
        ((mtime_ns, size, blob),) = rows
        return Stamp(mtime_ns, size), _decoded(blob) if blob else None

    def has(self, path: str) -> bool:
        """Whether a file is known."""
        return bool(self._all("SELECT 1 FROM files WHERE folder = ? AND name = ?", *split(path)))

    def ending(self, suffix: str) -> list[str]:
        """Files whose path is `suffix` or ends with `/` and it, in order, at most MOST_PATHS."""
        folder, name = split(suffix)
        back = _backwards(folder)
        rows = self._all(
            "SELECT folder, name FROM files WHERE name = ? AND backwards >= ? AND backwards < ? ORDER BY id LIMIT ?",
            *(name, back, back + "\U0010ffff", MOST_PATHS),
        )
        return sorted(_join(*row) for row in rows)

    def in_folder(self, folder: str) -> list[str]:
        """Files directly in a folder that have an outline, in order, at most MOST_PATHS."""
        rows = self._all(
            "SELECT folder, name FROM files WHERE folder = ? AND outline IS NOT NULL ORDER BY name LIMIT ?",
            *(folder, MOST_PATHS),
        )
        return [_join(*row) for row in rows]

    def defining(self, name: str, is_member: bool) -> list[str]:
        """Files that define a name, at the top level or as a member; at most MOST_DEFINING and one more."""
        rows = self._all(
            "SELECT folder, files.name FROM names JOIN files ON files.id = names.file "
            "WHERE names.name = ? AND is_member = ? LIMIT ?",
            *(name, is_member, MOST_DEFINING + 1),
        )
        return sorted(_join(*row) for row in rows)

    def _all(self, query: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def split(path: str) -> tuple[str, str]:
    """Folder and name of a path; the folder of a file at the root is ""."""
    folder, _slash, name = path.rpartition("/")
    return folder, name


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _backwards(folder: str) -> str:
    """`a/b` as `b/a/`: what a path ends with is then the beginning of something an index can find."""
    return "".join(f"{part}/" for part in reversed(folder.split("/"))) if folder else ""


def names_of(outline: Outline) -> set[tuple[str, bool]]:
    """The names that an outline can be found by: (name, whether it is a class's member)."""
    owners = {d.name for d in outline.definitions if d.kind == "module"}
    return {
        (d.name, bool(d.parent) and d.owner not in owners)
        for d in outline.definitions
        if d.kind not in ("field", "extension")
    }


def _forget(connection: sqlite3.Connection, folder: str, name: str) -> None:
    where = (folder, name)
    for file, blob in connection.execute("SELECT id, outline FROM files WHERE folder = ? AND name = ?", where):
        if blob:
            known = [(name, is_member, file) for name, is_member in names_of(_decoded(blob))]
            connection.executemany("DELETE FROM names WHERE name = ? AND is_member = ? AND file = ?", known)
        connection.execute("DELETE FROM files WHERE id = ?", (file,))


def _decoded(blob: bytes) -> Outline:
    return msgspec.msgpack.decode(zlib.decompress(blob), type=Outline)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        for statement in _SCHEMA:
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


@functools.cache
def version() -> str:
    """Of everything that decides what is stored: an index of other queries is not this one."""
    texts = [query_text(language, kind) for language in languages() for kind in ("definitions", "imports")]
    with contextlib.suppress(OSError):
        texts.append(Path(definitions.__file__).read_text(encoding="utf-8"))
    return f"{zlib.crc32(chr(0).join([*_SCHEMA, *texts]).encode()):08x}"


def remove(path: Path) -> None:
    """Delete a database that nobody has open, as far as it goes."""
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            Path(f"{path}{suffix}").unlink()

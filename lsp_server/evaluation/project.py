"""A copy of somebody's project in which holes can stand where code was. The project itself is only read."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from lsp_server.context.walk import Walker
from lsp_server.errors import KrukError
from lsp_server.evaluation.holes import MAX_FILE_BYTES, Hole, Source, digest, is_fit
from lsp_server.evaluation.symbols import Symbols
from lsp_server.settings import SECRET_GLOBS
from lsp_server.syntax.definitions import has_outline
from lsp_server.syntax.languages import Language, language_for, languages, query_text
from lsp_server.text import unix

MIN_FILE_BYTES = 200
MAX_COPIED_BYTES = 1_000_000
MAX_FILES = 20_000
MAX_SOURCES = 3_000  # what is read for holes; some 5 ms each
_PROBE_BYTES = 8_192  # git looks as far for a NUL to tell that a file is binary


class Project:
    """A folder's text files that git does not ignore and that hold no secrets, in a folder of our own."""

    def __init__(self, source: Path, root: Path) -> None:
        """Copy `source` to `root`, which is made. Raises KrukError when `source` is no folder that can be read."""
        if not source.is_dir():
            what = "is not a folder" if source.exists() else "does not exist"
            raise KrukError(f"`{source}` {what}", "Name a folder with source files below it")
        self.root = root
        root.mkdir(parents=True)
        self.files: list[str] = []
        for file in _files(source.resolve()):
            if len(self.files) == MAX_FILES:
                break
            if _copy(source / file, root / file):
                self.files.append(file)

    def sources(
        self, wanted: Collection[str], seed: str, tell: Callable[[int, int], None]
    ) -> tuple[list[Source], Symbols]:
        """The files that holes can be cut into, and what the files of the project define.

        `wanted` are names of languages, none for all that people program in; of very many files the seed chooses
        some. `tell` hears how many are read, and of how many. A file that is there twice is left out: the other one
        would give it away.
        Raises KrukError when there is none.
        """
        found = [(file, language) for file in self.files if (language := language_for("", file))]
        found = [(file, row) for file, row in found if row.name in wanted or _is_program(row)]
        found = sorted(found, key=lambda it: digest(f"{seed}:{it[0]}"))[:MAX_SOURCES]
        sources, symbols = [], Symbols()
        for n, (file, language) in enumerate(found, 1):
            tell(n, len(found))
            text = _read(self.root / file)
            if text is None:
                continue
            symbols.add(file, text, language)
            is_wanted = not wanted or language.name in wanted
            if is_wanted and MIN_FILE_BYTES <= len(text) <= MAX_FILE_BYTES and is_fit(text):
                sources.append(Source(file, language, text))
        n_times = Counter(source.text for source in sources)
        sources = [source for source in sources if n_times[source.text] == 1]
        if not sources:
            asked = f" in {', '.join(sorted(wanted))}" if wanted else ""
            known = ", ".join(row.name for row in languages() if _is_program(row))
            hint = f"Name a folder with source files that git does not ignore, in one of: {known}"
            raise KrukError(f"There are no source files{asked} to cut holes into", hint)
        return sources, symbols

    @contextlib.contextmanager
    def masked(self, hole: Hole) -> Iterator[Path]:
        """Put a hole into its file, which is whole again afterwards; gives the file."""
        path = self.root / hole.file
        before = path.read_bytes()
        path.write_text(hole.prefix + hole.suffix, encoding="utf-8", newline="")
        try:
            yield path
        finally:
            path.write_bytes(before)


def language_names() -> list[str]:
    """Names of the languages that holes can be cut in."""
    return [language.name for language in languages() if query_text(language, "blocks")]


def _is_program(language: Language) -> bool:
    """Whether people program in it: what else has bodies, such as JSON, counts only when it is asked for."""
    return has_outline(language) or bool(language.definition_words)


def _files(source: Path) -> Iterator[str]:
    for folder in Walker(source, SECRET_GLOBS).folders():
        for name, stamp in folder.files.items():
            if stamp.size <= MAX_COPIED_BYTES:
                yield f"{folder.path}/{name}" if folder.path else name


def _copy(file: Path, target: Path) -> bool:
    """Copy a text file; says whether it is one, and could be read."""
    try:
        with file.open("rb") as stream:
            if b"\0" in stream.read(_PROBE_BYTES):
                return False
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target, follow_symlinks=False)
    except OSError:
        return False
    return True


def _read(file: Path) -> str | None:
    try:
        return unix(file.read_bytes().decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        return None

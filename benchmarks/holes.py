"""Holes in real source files, and the text that goes into them: chosen by a seed, the same on every machine.

Knows nothing of servers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from lsp_server.errors import KrukError
from lsp_server.evaluation.holes import MAX_FILE_BYTES, cut_lines, digest, is_fit
from lsp_server.evaluation.holes import Hole as Hole
from lsp_server.evaluation.holes import first_line as first_line
from lsp_server.syntax.languages import language_for
from lsp_server.syntax.tree import parse

MIN_FILE_BYTES = 2_000
ATTEMPTS = 20  # at a hole in one file
ROUNDS = 20  # over all files, when there are fewer files than holes wanted
MAX_BURST = 6


def find_holes(tree: Path, n: int, seed: str, sizes: Sequence[int], min_chars: int) -> list[Hole]:
    """Cut `n` holes of `sizes` lines into source files below `tree`, at least `min_chars` characters long.

    A file's place in the order and the hole in it depend on the seed and its path below `tree` alone.
    Raises KrukError when there are not that many.
    """
    files = _source_files(tree)
    found: dict[str, Hole] = {}
    for turn in range(ROUNDS):
        keys = {path: f"{seed}:{turn}:{path.relative_to(tree).as_posix()}" for path in files}
        for path in sorted(files, key=lambda path: digest(keys[path])):
            if len(found) == n:
                return list(found.values())
            hole = _hole_in(path, keys[path], sizes, min_chars)
            if hole is not None:
                found.setdefault(hole.name, hole)
    if len(found) < n:
        hint = "Name a folder with more source files of the languages that Kruk knows"
        raise KrukError(f"`{tree}` has room for {len(found)} holes, not for {n}", hint)
    return list(found.values())


def bursts(text: str, rng: random.Random) -> Iterator[str]:
    """Yield the text in pieces of 1 to 6 characters, as somebody types it."""
    at = 0
    while at < len(text):
        size = rng.randint(1, MAX_BURST)
        yield text[at : at + size]
        at += size


def sample(names: Sequence[str], n: int, seed: str) -> list[str]:
    """Choose `n` of the names by the seed; which of two comes first does not depend on the others."""
    return sorted(names, key=lambda name: digest(f"{seed}:{name}"))[:n]


def _source_files(tree: Path) -> list[Path]:
    def is_wanted(path: Path) -> bool:
        inner = path.relative_to(tree)
        if any(part.startswith(".") or part == "node_modules" for part in inner.parts):
            return False
        if language_for("", inner.name) is None or not path.is_file():
            return False
        return MIN_FILE_BYTES <= path.stat().st_size <= MAX_FILE_BYTES

    if not tree.is_dir():
        raise KrukError(f"`{tree}` is not a folder", "Name one with source files below it")
    return [path for path in tree.rglob("*") if is_wanted(path)]


def _hole_in(path: Path, key: str, sizes: Sequence[int], min_chars: int) -> Hole | None:
    """A hole in the middle half of a file, or None when no place that the key names is fit for one."""
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    lines = text.split("\n")
    language = language_for("", path.name)
    if "\r" in text or language is None or not is_fit(text):
        return None
    rng = random.Random(key)
    for _ in range(ATTEMPTS):
        first, n_lines = rng.randrange(len(lines) // 4, 3 * len(lines) // 4 + 1), rng.choice(sizes)
        prefix, middle, suffix = cut_lines(text, first, n_lines)
        is_long_enough = min_chars <= len(middle.strip()) <= 80 * n_lines
        if is_long_enough and middle[0].strip() and parse(text, language).region_at(len(prefix) + 1) == "code":
            name = f"{path.name}:{first + 1}"
            return Hole(name, path.name, language.language_ids[0], prefix, middle, suffix)
    return None

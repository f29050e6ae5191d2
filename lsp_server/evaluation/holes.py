"""Holes in source files, and the text that goes into them: chosen by a seed, the same on every machine.

Knows nothing of servers.
"""

from __future__ import annotations

import functools
import hashlib
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lsp_server.evaluation.symbols import Symbols
from lsp_server.syntax.languages import Language, language_for
from lsp_server.syntax.tree import parse

MAX_FILE_BYTES = 200_000
MAX_LINE_CHARS = 300  # longer lines are data, or were written by a program
ATTEMPTS = 20  # at a hole in one file
ROUNDS = 20  # over all files, when there are fewer files than holes wanted
MIN_LINE_CHARS, MIN_REST_CHARS = 10, 4
BLOCK_LINES = range(2, 11)

KINDS = {
    "rest": "rest of line",
    "line": "whole line",
    "block": "block",
    "cross-file": "cross-file",
    "hard": "cross-file, hard",
}
"""Kinds of holes and their titles. `cross-file`: rests and lines that use what only other files define, and that the
file names elsewhere too, be it in an import; `hard`: those that use what the file names nowhere else."""

_TOKEN = re.compile(r"\w+|[^\w\s]")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Hole:
    """A piece that is missing in a file: `prefix + middle + suffix` is the file, the cursor stands after `prefix`.

    `symbol` is what it uses of another file, "" when nothing is known of that.
    """

    name: str
    file: str
    language_id: str
    prefix: str
    middle: str
    suffix: str
    kind: str = "line"
    symbol: str = ""

    @property
    def language(self) -> Language | None:
        """The language's row, None when Kruk does not know it."""
        return language_for(self.language_id, self.file)


@dataclass(frozen=True)
class Source:
    """A file that holes can be cut into. Its line ends are newlines."""

    file: str
    language: Language
    text: str

    @functools.cached_property
    def lines(self) -> list[tuple[int, int]]:
        """Start and end of each line's text, without its indentation."""
        spans, at = [], 0
        for line in self.text.split("\n"):
            spans.append((at + len(line) - len(line.lstrip(" \t")), at + len(line)))
            at += len(line) + 1
        return spans

    def is_code(self, offset: int) -> bool:
        """Whether code begins at an offset, in a body: neither in a string or comment, nor among the imports."""
        tree = parse(self.text, self.language)
        return tree.region_at(offset + 1) == "code" and tree.enclosing_block(offset) is not None


Span: TypeAlias = tuple[int, int]


def cut_holes(
    sources: Sequence[Source], symbols: Symbols, n: int, seed: str, kinds: Iterable[str] = KINDS
) -> list[Hole]:
    """At most `n` holes of each kind, the kinds in turn; fewer where there is room for no more.

    A file's place in the order and the holes in it depend on the seed and its path alone.
    """
    found = {kind: _holes_of(kind, sources, symbols, n, seed) for kind in kinds}
    return [holes[i] for i in range(n) for holes in found.values() if i < len(holes)]


def n_per_kind(holes: Sequence[Hole]) -> dict[str, int]:
    """How many holes there are of each kind."""
    return {kind: sum(hole.kind == kind for hole in holes) for kind in KINDS}


def is_fit(text: str) -> bool:
    """Whether holes may be cut into a text: people wrote it."""
    return max(map(len, text.split("\n"))) <= MAX_LINE_CHARS


def cut_lines(text: str, first: int, n_lines: int) -> tuple[str, str, str]:
    """Prefix, middle and suffix for a hole of whole lines. The first one's indentation stays in the prefix."""
    lines = text.split("\n")
    body = "\n".join(lines[first : first + n_lines])
    indent = len(body) - len(body.lstrip(" \t"))
    start = sum(len(line) + 1 for line in lines[:first]) + indent
    end = start - indent + len(body)
    return text[:start], text[start:end], text[end:]


def first_line(text: str) -> str:
    """The first line that is not blank, without the white space around it."""
    return next((line.strip() for line in text.split("\n") if line.strip()), "")


def digest(text: str) -> bytes:
    """What an order by a seed goes by."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _holes_of(kind: str, sources: Sequence[Source], symbols: Symbols, n: int, seed: str) -> list[Hole]:
    found: dict[str, Hole] = {}
    barren: set[str] = set()
    for turn in range(ROUNDS):
        keys = {source.file: f"{seed}:{kind}:{turn}:{source.file}" for source in sources}
        for source in sorted(sources, key=lambda source: digest(keys[source.file])):
            if len(found) == n:
                return list(found.values())
            if source.file in barren:
                continue
            hole = _hole_in(source, kind, symbols, random.Random(keys[source.file]))
            if hole is None:
                barren.add(source.file)
            else:
                found.setdefault(hole.name, hole)
    return list(found.values())


def _hole_in(source: Source, kind: str, symbols: Symbols, rng: random.Random) -> Hole | None:
    """A hole in a file, or None when no place that was tried is fit for one."""
    text = source.text
    for (start, end), symbol in _CUTTERS[kind](source, symbols, rng):
        middle = text[start:end]
        if source.is_code(start):
            name = f"{source.file}:{text.count(chr(10), 0, start) + 1}"
            language_id = source.language.language_ids[0]
            return Hole(name, source.file, language_id, text[:start], middle, text[end:], kind, symbol)
    return None


def _some_lines(source: Source, rng: random.Random) -> Iterator[Span]:
    fit = [span for span in source.lines if span[1] - span[0] >= MIN_LINE_CHARS and _says(source.text, span)]
    yield from rng.sample(fit, min(ATTEMPTS, len(fit)))


def _says(text: str, span: Span) -> bool:
    """Whether there is a word in it: a line of brackets is no hole."""
    return any(char.isalpha() for char in text[span[0] : span[1]])


def _rests_of(text: str, line: Span, last: int | None = None) -> list[Span]:
    """Every rest of a line that begins at a token, not at its first one and not behind `last`."""
    starts = [line[0] + match.start() for match in _TOKEN.finditer(text[line[0] : line[1]])][1:]
    rests = [(start, line[1]) for start in starts if last is None or start <= last]
    return [rest for rest in rests if rest[1] - rest[0] >= MIN_REST_CHARS and _says(text, rest)]


def _rests(source: Source, _symbols: Symbols, rng: random.Random) -> Iterator[tuple[Span, str]]:
    for line in _some_lines(source, rng):
        if rests := _rests_of(source.text, line):
            yield rng.choice(rests), ""


def _whole_lines(source: Source, _symbols: Symbols, rng: random.Random) -> Iterator[tuple[Span, str]]:
    yield from ((line, "") for line in _some_lines(source, rng))


def _blocks(source: Source, _symbols: Symbols, rng: random.Random) -> Iterator[tuple[Span, str]]:
    tree = parse(source.text, source.language)
    for line in _some_lines(source, rng):
        block = tree.enclosing_block(line[0])
        if block is None:
            continue
        body = source.text[block.start : block.end]
        start = block.start + len(body) - len(body.lstrip())
        end = block.start + len(body.rstrip())
        begins_line = any(start == at for at, _end in source.lines)
        if begins_line and source.text.count("\n", start, end) + 1 in BLOCK_LINES:
            yield (start, end), ""


def _crossing(source: Source, symbols: Symbols, rng: random.Random, is_hard: bool) -> Iterator[tuple[Span, str]]:
    text = source.text
    words = _counted(text)
    uses = [use for use in symbols.uses(source.file, text) if (words[use.name] == 1) == is_hard]
    for use in rng.sample(uses, min(ATTEMPTS, len(uses))):
        line = next(span for span in source.lines if span[1] > use.offset)
        rests = _rests_of(text, line, use.offset)
        if not source.is_code(use.offset):
            continue
        if rests and rng.random() < 0.5:
            yield rng.choice(rests), use.name
        elif line[1] - line[0] >= MIN_LINE_CHARS:
            yield line, use.name


@functools.lru_cache(maxsize=256)
def _counted(text: str) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for word in _WORD.findall(text):
        counts[word] = counts.get(word, 0) + 1
    return counts


_Cutter: TypeAlias = Callable[[Source, Symbols, random.Random], Iterator[tuple[Span, str]]]
_CUTTERS: dict[str, _Cutter] = {
    "rest": _rests,
    "line": _whole_lines,
    "block": _blocks,
    "cross-file": functools.partial(_crossing, is_hard=False),
    "hard": functools.partial(_crossing, is_hard=True),
}

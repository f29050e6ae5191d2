"""What is shown to the model besides the file at the cursor: pieces of files, packed into a budget.

A prompt is evaluated again from its first changed token on. So the pieces that change least come first, and a
choice that was shown stays until another one is clearly better, and then keeps its beginning if it can.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from lsp_server.context.scope import Meaning
from lsp_server.context.workspace import Workspace

CHARS_PER_TOKEN = 3.2
PATH_TOKENS = 14  # for the line that names a file
WHOLE_LINES = 24  # a definition up to so long is shown whole, a longer one to here
BRIEF_LINES = 8  # of a definition, where there is little room
MEMBER_LINES = 40  # of the members of a type that is used at the cursor
LARGEST_SHARE = 0.5  # of what is left, for one definition; else its signature must do
GOOD_ENOUGH = 0.75  # of the best choice's value: then what is shown stays
LEAST_SCORE = 1.0

Count: TypeAlias = Callable[[str], int]
Variant: TypeAlias = "tuple[str, Container[int]]"  # a text, and the first lines of the definitions that are in it


def about(text: str) -> int:
    """How many tokens a text has, when no tokenizer is at hand."""
    return int(len(text) / CHARS_PER_TOKEN) + 1


class Shown(NamedTuple):
    """The text of one definition, and the keys of the candidates that it answers."""

    text: str
    keys: frozenset[str]


@dataclass(frozen=True)
class Piece:
    """Lines of one file, as they stand there and in their order.

    Attributes:
        path: Relative to the workspace.
        text: Whole lines without a line end at the end; line ends are newlines.
        why: For the trace.
        score: How much it is worth; only comparable within one choice.
        key: The same as long as it shows the same definitions.
        parts: Each definition in it.
    """

    path: str
    text: str
    why: str
    score: float
    key: str
    parts: tuple[Shown, ...] = field(default=(), repr=False)

    @property
    def keys(self) -> frozenset[str]:
        """The candidates that it answers."""
        return frozenset().union(*(part.keys for part in self.parts))


@dataclass
class Candidate:
    """A definition, or another text, that could be shown.

    `order` sorts what is shown: the less it depends on the cursor's line, the smaller. `members`: what a type
    has; `is_used`: they are what is wanted of it; `liking`: how likely a name is to be wanted.
    """

    path: str
    start: int
    key: str
    score: float
    why: str
    order: tuple[int, int]
    meaning: Meaning | None = None
    members: Callable[[], Iterable[Meaning]] = tuple
    is_used: bool = False
    text: str = ""
    liking: Callable[[str], float] = lambda _name: 0.0
    variants: list[Variant] = field(default_factory=list, repr=False)


@dataclass
class _Part:
    candidate: Candidate
    text: str
    covers: Container[int]
    cost: int
    keys: set[str]

    def holds(self, candidate: Candidate) -> bool:
        return self.candidate.path == candidate.path and candidate.start in self.covers


def value(pieces: Iterable[Piece], candidates: Sequence[Candidate]) -> float:
    """What pieces are worth to a cursor with these candidates."""
    scores = {candidate.key: candidate.score for candidate in candidates}
    return sum(scores.get(key, 0.0) for piece in pieces for key in piece.keys)


def pack(
    candidates: Sequence[Candidate],
    budget: int,
    workspace: Workspace,
    count: Count,
    kept: tuple[Piece, ...] = (),
    is_brief: bool = False,
) -> tuple[Piece, ...]:
    """Take the best candidates that fit into `budget` tokens, after the pieces kept; brief: a few lines of each."""
    left = budget - sum(count(piece.text) + PATH_TOKENS for piece in kept)
    taken: list[_Part] = []
    shown = {key for piece in kept for key in piece.keys}
    for candidate in sorted(candidates, key=lambda row: (-row.score, row.path, row.start)):
        if candidate.score < LEAST_SCORE or candidate.key in shown:
            continue
        if holder := next((part for part in taken if part.holds(candidate)), None):
            holder.keys.add(candidate.key)
            continue
        head = 0 if any(part.candidate.path == candidate.path for part in taken) else PATH_TOKENS
        variants = [_brief(candidate, workspace)] if is_brief else _variants(candidate, workspace)
        for number, (text, covers) in enumerate(variants):
            part = _Part(candidate, text, covers, count(text) + head, {candidate.key})
            inside = [other for other in taken if part.holds(other.candidate)]
            room = left + sum(other.cost for other in inside)
            if text and part.cost <= room * (LARGEST_SHARE if number < len(variants) - 1 else 1):
                part.keys.update(*(other.keys for other in inside))
                taken = [other for other in taken if other not in inside]
                taken.append(part)
                left = room - part.cost
                break
    return (*kept, *_pieces(taken, workspace))


def keep(
    before: tuple[Piece, ...], candidates: Sequence[Candidate], budget: int, workspace: Workspace, count: Count
) -> tuple[Piece, ...]:
    """The pieces to show now: those before as long as they are good enough, else with others after them, else new."""
    best = pack(candidates, budget, workspace, count)
    if not before:
        return best
    least = GOOD_ENOUGH * value(best, candidates)
    known = {candidate.key: candidate for candidate in candidates}
    sound = tuple(piece for piece in before if _stands(piece, known, workspace))
    if sound == before and value(before, candidates) >= least:
        return before
    worth = tuple(piece for piece in sound if value([piece], candidates) > 0)
    n_tokens = sum(count(piece.text) + PATH_TOKENS for piece in worth)
    extended = pack(candidates, budget, workspace, count, worth) if n_tokens <= budget else ()
    return extended if value(extended, candidates) >= least else best


def _stands(piece: Piece, known: Mapping[str, Candidate], workspace: Workspace) -> bool:
    """Whether a piece still shows what is in its file, as far as it is asked for."""
    for part in piece.parts:
        wanted = [known[key] for key in part.keys if key in known]
        if wanted and not any(part.text == shown for row in wanted for shown, _covers in _variants(row, workspace)):
            return False
    return True


def _variants(candidate: Candidate, workspace: Workspace) -> list[Variant]:
    """What can be shown of a candidate, the best first."""
    if not candidate.variants:
        candidate.variants = list(_made_variants(candidate, workspace))
    return candidate.variants


def _made_variants(candidate: Candidate, workspace: Workspace) -> Iterator[Variant]:
    if candidate.meaning is None:
        yield candidate.text, ()
        return
    row = candidate.meaning.definition
    is_holder = row.kind in ("class", "module")
    if row.end - row.start <= WHOLE_LINES or not is_holder:
        lines = workspace.lines(candidate.path)[row.start : min(row.end, row.start + WHOLE_LINES)]
        seen = range(row.start, row.start + len(lines))
        more, _starts = _members(candidate, _most_lines(candidate) - len(lines), seen)
        yield "\n".join([*lines, *more]).rstrip(), seen
    if is_holder:
        lines = row.skeleton.split("\n")
        more, starts = _members(candidate, _most_lines(candidate) - len(lines))
        yield "\n".join([*lines, *more]), {row.start, *starts}
    yield row.skeleton, {row.start}


def _brief(candidate: Candidate, workspace: Workspace) -> Variant:
    """What is shown of a candidate where there is little room."""
    if candidate.meaning is None:
        return "\n".join(candidate.text.split("\n")[:BRIEF_LINES]), ()
    row = candidate.meaning.definition
    lines, starts = row.signature.split("\n"), set[int]()
    if row.kind in ("class", "module"):
        more, starts = _members(candidate, BRIEF_LINES - len(lines), is_brief=True)
        lines += more
    elif row.end - row.start <= len(lines) + 1:  # its body costs no more
        lines = workspace.lines(candidate.path)[row.start : row.end]
    return "\n".join(lines[:BRIEF_LINES]), {row.start, *starts}


def _most_lines(candidate: Candidate) -> int:
    return MEMBER_LINES if candidate.is_used else WHOLE_LINES


def _members(
    candidate: Candidate, n_most: int, seen: Container[int] = (), is_brief: bool = False
) -> tuple[list[str], set[int]]:
    """What the likeliest members of a class look like, and where those in its file begin.

    At most `n_most` lines, in the members' order; without those that are `seen`, and inherited private ones.
    """
    owner = candidate.meaning.definition.name if candidate.meaning else ""
    members = [
        (path, row)
        for path, row, _how in candidate.members()
        if not (path == candidate.path and row.start in seen) and (row.owner == owner or not row.name.startswith("_"))
    ]
    taken: dict[int, list[str]] = {}
    for number in sorted(range(len(members)), key=lambda number: -candidate.liking(members[number][1].name)):
        row = members[number][1]
        lines = (row.signature if is_brief else row.skeleton).split("\n")
        if len(lines) <= n_most:
            n_most -= len(lines)
            taken[number] = lines
    shown = [line for number in sorted(taken) for line in taken[number]]
    return shown, {members[number][1].start for number in taken if members[number][0] == candidate.path}


def _pieces(parts: list[_Part], workspace: Workspace) -> list[Piece]:
    """Put the parts of one file together in file order; steady ones and those for the cursor's line apart."""
    groups: dict[tuple[int, str], list[_Part]] = {}
    for part in sorted(parts, key=lambda row: (*row.candidate.order, row.candidate.path, row.candidate.start)):
        groups.setdefault((part.candidate.order[0], part.candidate.path), []).append(part)
    pieces = []
    for (_order, path), group in groups.items():
        texts: list[str] = []
        above = ""
        for part in sorted(group, key=lambda row: row.candidate.start):
            header = _header(part, group, workspace)
            texts += [header] if header and header != above else []
            above = header
            texts.append(part.text)
        parts_shown = tuple(Shown(part.text, frozenset(part.keys)) for part in group)
        why = "; ".join(dict.fromkeys(part.candidate.why for part in group))
        score = sum(part.candidate.score for part in group)
        key = "|".join(sorted(key for part in group for key in part.keys))
        pieces.append(Piece(path, "\n".join(texts), why, score, key, parts_shown))
    return pieces


def _header(part: _Part, group: list[_Part], workspace: Workspace) -> str:
    """The line of the class that a lone method stands in, or ""."""
    meaning = part.candidate.meaning
    outline = workspace.outline(part.candidate.path)
    if not meaning or not meaning.definition.parent or not outline:
        return ""
    at = meaning.definition.start
    holders = [row for row in outline.definitions if row.kind in ("class", "extension") and row.start < at < row.end]
    if not holders:
        return ""
    holder = holders[-1]
    shown = any(row.candidate.meaning and row.candidate.meaning.definition == holder for row in group)
    return "" if shown else holder.signature.split("\n")[0]

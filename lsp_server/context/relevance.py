"""Which definitions the model should see for one cursor.

`choose` takes 5 to 50 ms and belongs in idle time, off the event loop. What it gives is kept: per keystroke only
`Chosen.pieces` is read, and `Chosen.is_for` tells, in microseconds, whether another choice is worth its time.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lsp_server.context.languages import facts
from lsp_server.context.pieces import LEAST_SCORE, Candidate, Count, Piece, about, keep, pack
from lsp_server.context.references import Name, at_cursor, hints, subwords, typings, weighted_names
from lsp_server.context.scope import Meaning, Scope, Scopes, result
from lsp_server.context.workspace import Workspace
from lsp_server.syntax.definitions import Definition
from lsp_server.text import Document, unix

NEAR_TOKENS = 200  # beside the near window: a second of evaluation

# How much a name's weight counts by where its definition was found; the last two are divided by its namesakes.
IMPORTED, BESIDE, HERE, OPEN, ANYWHERE = 3.0, 2.0, 2.0, 1.5, 1.0
TYPED = 4.0  # a member of a type that is known
USED_AT_CURSOR = 40.0  # the type before the cursor's dot
BEGUN = 5.0  # a name that the word at the cursor may become
BASE_CLASS = 5.0
SIBLING, SIBLING_AT_CURSOR = 1.2, 8.0
MEMBER, MEMBER_AT_CURSOR = (
    0.5,
    12.0,
)  # of what is mentioned, at the weight of the cursor's line; of what stands before its dot
HINTED = 12.0  # and as much more the more of its name is said around the cursor
IMPORTED_HINTED = 6.0
MENTIONED_ONCE, MENTIONED_AGAIN, MOST_MENTIONS = 1.0, 0.25, 6
UNUSED = 6.0  # an import that nothing uses yet
NEAR_WEIGHT = 2.0  # what is lighter is looked up among imports only
LINE_WEIGHT = 4.0  # from here on it is worth finding the type of what stands before a dot
MOST_BEGUN, MOST_RECEIVERS, MOST_EDITS = 6, 8, 2
MOST_LOOKED_UP, MOST_HOLDERS, MOST_EXPORTED = 24, 12, 400
MAX_EDIT_LINES = 24
NEAR_CHARS = 50_000  # on either side of the cursor, where mentions are counted
EDIT_SHARE, MOST_EDIT_SCORE = 0.4, 6.0
STEADY, LOCAL, NEAR, EDITED = range(4)  # the order in which pieces are shown
_HOLDERS = ("class", "type")


@dataclass(frozen=True)
class Place:
    """A cursor. `path` is relative to the workspace, "" for no file; `window` is what the model sees anyway."""

    path: str
    document: Document
    offset: int
    window: tuple[int, int]

    @property
    def line(self) -> str:
        """The words of the cursor's line up to the one under way, which is when another choice may be due."""
        text = self.document.text
        start = max(text.rfind("\n", 0, self.offset) + 1, self.offset - 400)
        cursor = at_cursor(text, self.offset)
        return text[start : self.offset - len(cursor.word)].strip()


@dataclass(frozen=True)
class Chosen:
    """What is shown, in order, the place that it was chosen for, and what is shown beside the near window."""

    pieces: tuple[Piece, ...] = ()
    place: Place | None = field(default=None, repr=False)
    near: tuple[Piece, ...] = ()

    def is_for(self, place: Place) -> bool:
        """Whether a new choice would hardly differ: the same window's start, the same line up to its last word."""
        was = self.place
        return was is not None and (was.path, was.line, was.window[0]) == (place.path, place.line, place.window[0])


def choose(
    place: Place,
    workspace: Workspace,
    budget: int,
    before: Chosen | None = None,
    edits: Sequence[tuple[str, str]] = (),
    count: Count = about,
) -> Chosen:
    """Choose what to show within `budget` tokens; `before.pieces` themselves as long as they are good enough.

    `edits`: (path, text) of pieces that were edited lately, the newest first.
    """
    search = _Search(place, workspace)
    search.run(edits)
    candidates = list(search.candidates.values())
    pieces = keep(before.pieces if before else (), candidates, budget, workspace, count)
    return Chosen(pieces, place, pack(candidates, NEAR_TOKENS, workspace, count, is_brief=True))


class _Search:
    """Candidates for one place."""

    def __init__(self, place: Place, workspace: Workspace) -> None:
        self._path = place.path or place.document.uri
        self._scopes = Scopes(workspace.with_document(self._path, place.document))
        self._scope: Scope = self._scopes.of(self._path)
        self._place = place
        self._text = unix(place.document.text)
        n_dropped = len(place.document.text) - len(self._text)
        self._offset = len(unix(place.document.text[: place.offset])) if n_dropped else place.offset
        self._near = self._text[max(0, self._offset - NEAR_CHARS) : self._offset + NEAR_CHARS]
        start, end = place.window
        self._first = place.document.text.count("\n", 0, start)
        self._last = self._first + place.document.text.count("\n", start, end)
        self._line = self._text.count("\n", 0, self._offset)
        self._facts = facts(self._scope.language) if self._scope.language else None
        self._outside = self._names_from_outside() if self._facts else set()
        self._typed: dict[str, list[Meaning]] = {}
        self._classes: list[Definition] = []
        self._hints: dict[str, float] = {}
        self._n_hinting: Counter[str] = Counter()
        self.candidates: dict[str, Candidate] = {}

    def run(self, edits: Sequence[tuple[str, str]]) -> None:
        """Fill in the candidates."""
        language = self._scope.language
        around = [row for row in self._scope.outline.definitions if row.start <= self._line < row.end]
        functions = [row for row in around if row.kind in ("function", "method")]
        first_line = functions[-1].start if functions else self._line - 12
        comment = language.line_comment if language else "#"
        names = weighted_names(self._text, self._offset, first_line, comment)
        cursor = at_cursor(self._text, self._offset)
        self._classes = [row for row in around if row.kind in ("class", "extension")]
        self._hints = hints(self._text, self._offset, functions[-1].signature if functions else "")
        if self._facts:
            self._add_names(names)
            self._add_imports()
            self._add_receiver(cursor.chain)
            self._add_members(names, cursor.chain or tuple(filter(None, [cursor.word])))
            self._add_class(self._classes, cursor.chain)
            self._add_begun(cursor.word if not cursor.chain else "")
        self._add_edits(edits, names)

    # -- where candidates come from -----------------------------------------------------------------------------

    def _add_names(self, names: dict[Name, float]) -> None:
        receivers: set[str] = set()
        for (receiver, name), weight in sorted(names.items(), key=lambda row: -row[1]):
            order = NEAR if weight >= 6 else STEADY
            if receiver:
                self._add_all(self._scope.in_module(receiver, name), weight * IMPORTED, name, order)
                if weight < LINE_WEIGHT or receiver in self._outside or receiver in self._self_words():
                    continue
                if len(receivers) < MOST_RECEIVERS:
                    receivers.add(receiver)
                found = [
                    member
                    for meaning in (self._types(receiver) if receiver in receivers else ())
                    for member in self._scope.members(meaning)
                    if member.definition.name == name
                ]
                self._add_all(found, weight * TYPED, f"{receiver}.{name}", order)
                if not found and self._is_telling(name):
                    self._add_far(self._scope.anywhere(name, is_member=True), weight * ANYWHERE / 2, name)
                continue
            found = self._scope.find(name)
            self._add_all(found, weight, name, order)
            if not found and weight >= NEAR_WEIGHT and name not in self._outside and self._is_telling(name):
                self._add_far(self._scope.anywhere(name), weight, name)

    def _add_imports(self) -> None:
        """What is imported is likely to be used, also where it is not mentioned yet."""
        for name, places in self._scope.imported.items():
            if name == "*" or all(there == "" for _path, there in places):
                continue
            n_mentions = min(self._near.count(name), MOST_MENTIONS)
            score = MENTIONED_ONCE + MENTIONED_AGAIN * (n_mentions - 1) if n_mentions != 1 else UNUSED
            score += IMPORTED_HINTED * self._hinted(name)
            for meaning in self._scope.find(name):
                self._add(meaning, score, f"imports {name}", STEADY)

    def _add_receiver(self, chain: tuple[str, ...]) -> None:
        """The members of what stands before the cursor's dot."""
        if not chain or chain[-1] in self._self_words():
            return
        for meaning in self._types_of(chain):
            if meaning.definition.kind in ("class", "type"):
                self._add(meaning, USED_AT_CURSOR, f"{chain[-1]}.", NEAR, is_used=True)
        for path, there in self._scope.imported.get(chain[-1], ()):
            if there == "":
                for row in self._scopes.of(path).outline.definitions:
                    if not row.parent and not row.name.startswith("_"):
                        self._add(Meaning(path, row, "import"), BEGUN, f"{chain[-1]}.", NEAR)

    def _add_members(self, names: dict[Name, float], chain: tuple[str, ...]) -> None:
        """Members of what stands before the cursor's dot and of what is mentioned near, those hinted at first."""
        holders: dict[Meaning, float] = {}
        found: dict[Meaning, tuple[float, str]] = {}
        for meaning in self._types_of(chain) if chain else ():
            holders[meaning] = MEMBER_AT_CURSOR
        for row in self._classes[-1:]:
            is_at_cursor = len(chain) == 1 and chain[0] in self._self_words()
            holders[Meaning(self._path, row, "here")] = MEMBER_AT_CURSOR if is_at_cursor else MEMBER
        mentioned: dict[str, float] = {}
        for (_receiver, name), weight in names.items():
            mentioned[name] = max(weight, mentioned.get(name, 0.0))
        for path, there in (
            self._scope.at_path(self._facts.inline_paths.join(chain))
            if chain and self._facts and self._facts.inline_paths
            else ()
        ):
            for row in self._scopes.of(path).outline.definitions[:MOST_EXPORTED]:
                if (row.name == there or not there) and not row.parent:
                    found[Meaning(path, row, "import")] = MEMBER_AT_CURSOR, chain[-1]
        modules = {chain[-1]: MEMBER_AT_CURSOR} if chain else {}
        for name, weight in sorted(mentioned.items(), key=lambda row: -row[1])[:MOST_LOOKED_UP]:
            if weight < NEAR_WEIGHT or len(holders) > MOST_HOLDERS:
                break
            modules.setdefault(name, MEMBER * weight / 8)
            for meaning in self._types_of((name,)):
                holders.setdefault(meaning, MEMBER * weight / 8)
        for meaning, base in holders.items():
            for member in self._scope.members(meaning):
                if base >= found.get(member, (0.0, ""))[0]:
                    found[member] = base, meaning.definition.name
        for name, base in modules.items():
            for path in (path for path, there in self._scope.imported.get(name, ()) if there == ""):
                for row in self._scopes.of(path).outline.definitions[:MOST_EXPORTED]:
                    if not row.parent and not row.name.startswith("_"):
                        found.setdefault(Meaning(path, row, "import"), (base, name))
        for meaning in self._scope.beside():
            found.setdefault(meaning, (0.0, "the folder"))
        self._n_hinting = Counter(part for meaning in found for part in {*subwords(meaning.definition.name)})
        for meaning, (base, holder) in found.items():
            score = base + HINTED * self._hinted(meaning.definition.name) * (1.0 if base == MEMBER_AT_CURSOR else 0.5)
            if score >= LEAST_SCORE:
                self._add(meaning, score, f"of {holder}", LOCAL if meaning.path == self._path else NEAR)

    def _hinted(self, name: str) -> float:
        """How much of a name is said around the cursor, from 0 to about 1; what many names share says little."""
        parts = subwords(name)
        rare = sum(self._hints.get(part, 0.0) / (1 + self._n_hinting[part]) ** 0.5 for part in parts)
        return 1.4 * rare / len(parts) ** 0.5 if parts else 0.0

    def _add_class(self, classes: list[Definition], chain: tuple[str, ...]) -> None:
        """What the enclosing class has outside of the window, and the classes it is made from."""
        is_at_cursor = len(chain) == 1 and chain[0] in self._self_words()
        for row in classes[-1:]:
            for member in self._scope.members(Meaning(self._path, row, "here")):
                if member.path == self._path:
                    score = SIBLING_AT_CURSOR if is_at_cursor else SIBLING
                    self._add(member, score, f"also in {row.name}", LOCAL)
            for meaning in self._scope.types(row.signature.replace(row.name, "", 1), steps=0):
                score = BASE_CLASS * (2 if is_at_cursor else 1)
                self._add(meaning, score, f"{row.name} is one", STEADY, is_used=True)

    def _add_begun(self, word: str) -> None:
        if len(word) < 2:
            return
        known = [*self._scope.imported, *(row.name for row in self._scope.outline.definitions if not row.parent)]
        for name in [name for name in dict.fromkeys(known) if name.startswith(word)][:MOST_BEGUN]:
            for meaning in self._scope.find(name):
                self._add(meaning, BEGUN, f"{word}…", NEAR)

    def _add_edits(self, edits: Sequence[tuple[str, str]], names: dict[Name, float]) -> None:
        """What was edited lately, if it speaks of the same things."""
        start, end = self._place.window
        seen = unix(self._place.document.text[start:end])
        weights: dict[str, float] = {}
        for (_receiver, name), weight in names.items():
            weights[name] = max(weight, weights.get(name, 0.0))
        n_added = 0
        for path, edited in edits:
            text = "\n".join(unix(edited).strip("\n").split("\n")[:MAX_EDIT_LINES]).rstrip()
            words = {name for _receiver, name in weighted_names(text, len(text), -1, "")}
            score = min(EDIT_SHARE * sum(weights.get(word, 0.0) for word in words if len(word) > 3), MOST_EDIT_SCORE)
            if text and text not in seen and n_added < MOST_EDITS:
                key = f"{path}~{text}"
                self.candidates[key] = Candidate(path, 0, key, score, "edited lately", (EDITED, n_added), text=text)
                n_added += 1

    # -- how they are added -------------------------------------------------------------------------------------

    def _add_all(self, found: Iterable[Meaning], weight: float, why: str, order: int) -> None:
        for meaning in found:
            factor = {"here": HERE, "import": IMPORTED, "folder": BESIDE}.get(meaning.how, 1.0)
            self._add(meaning, weight * factor, why, LOCAL if meaning.how == "here" else order)

    def _add_far(self, found: list[Meaning], weight: float, why: str) -> None:
        n_files = len({meaning.path for meaning in found}) or 1
        for meaning in found:
            is_beside = meaning.path.rpartition("/")[0] == self._path.rpartition("/")[0]
            factor = BESIDE if is_beside else OPEN if meaning.how == "open" else ANYWHERE
            self._add(meaning, weight * factor / n_files, why, NEAR)

    def _add(self, meaning: Meaning, score: float, why: str, order: int, is_used: bool = False) -> None:
        path, row, _how = meaning
        is_seen = path == self._path and row.end > self._first and row.start <= self._last
        if is_seen:
            return
        key = f"{path}:{row.kind}:{row.parent}.{row.name}"
        imported = self._scope.imported_paths
        rank = (order, imported.index(path) if path in imported else len(imported))
        known = self.candidates.get(key)
        if known is None:
            members = functools.partial(self._scope.members, meaning) if row.kind in _HOLDERS else tuple
            self.candidates[key] = Candidate(
                path, row.start, key, score, why, rank, meaning, members, is_used, liking=self._hinted
            )
        else:
            # What is wanted for two reasons stays in the steadier order.
            known.order = min(known.order, rank)
            known.is_used |= is_used
            if score > known.score:
                known.score, known.why = score, why

    # -- what the text says -------------------------------------------------------------------------------------

    def _types(self, name: str) -> list[Meaning]:
        if name not in self._typed:
            self._typed[name] = self._types_written(name)
        return self._typed[name]

    def _types_written(self, name: str) -> list[Meaning]:
        patterns = self._facts.typings if self._facts else ()
        for written in typings(name, self._text, self._offset, patterns)[:4]:
            if found := self._scope.types(written):
                return found
        return []

    def _types_of(self, chain: tuple[str, ...]) -> list[Meaning]:
        """The classes that `a.b.c` is one of, as far as the text and the members' signatures tell."""
        first, *rest = chain
        if first in self._self_words():
            found = [Meaning(self._path, row, "here") for row in self._classes[-1:]]
        elif first in self._outside:
            found = []
        else:
            known = [*self._types(first), *self._scope.types(first, steps=1 if self._scope.find(first) else 0)]
            found = [meaning for meaning in known if meaning.definition.kind in _HOLDERS]
        for at, part in enumerate(rest, 1):
            members = [m for holder in found for m in self._scope.members(holder) if m.definition.name == part]
            if not members:
                members = self._scope.in_module(chain[at - 1], part)
            found = [meaning for member in members for meaning in self._given(member)] or self._types(part)
        return list(dict.fromkeys(found))

    def _given(self, member: Meaning) -> list[Meaning]:
        """The class of a member's value, or of what a call of it gives."""
        path, row, _how = member
        if row.kind in _HOLDERS:
            return [member]
        scope = self._scopes.of(path)
        written = result(row) if row.kind in ("function", "method") else row.signature.replace(row.name, "", 1)
        return scope.types(written)

    def _self_words(self) -> tuple[str, ...]:
        return self._facts.self_words if self._facts else ()

    def _is_telling(self, name: str) -> bool:
        """Whether a name is more than a common word: it has two parts, is a type's, or is called."""
        has_parts = "_" in name.strip("_") or any(map(str.isupper, name))
        return len(name) > 2 and (has_parts or f"{name}(" in self._near)

    def _names_from_outside(self) -> set[str]:
        """Names of modules and imports that lead out of the workspace."""
        names: set[str] = set()
        for found in self._scope.outline.imports:
            parts = found.module.replace("/", ".").replace("::", ".").split(".")
            names.update((here for _there, here in found.names) if found.names else (parts[0], parts[-1]))
        return names - self._scope.imported.keys()

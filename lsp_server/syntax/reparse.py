"""Parsing a text that differs in one place from one that was parsed lately, as texts do while somebody types.

tree-sitter takes over a node of the earlier tree only where a fresh parse would come by in the same state, alone.
So the new tree says truly whether the text has errors, and without any it is the one that a fresh parse makes; behind
an error it may go on otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import tree_sitter

from lsp_server.syntax.languages import Language, parser_for

N_KEPT = 4  # one completion asks about windows of two sizes


@dataclass(frozen=True, slots=True)
class Parsed:
    """A source and its tree, which is never edited in place. `is_fresh`: not made from an earlier one."""

    source: bytes
    language: Language
    tree: tree_sitter.Tree
    is_fresh: bool

    @property
    def has_errors(self) -> bool:
        """Whether a place of the source does not parse."""
        return self.tree.root_node.has_error


_kept: tuple[Parsed, ...] = ()  # the newest first; replaced as a whole, so that any thread may read it


def parse_fresh(source: bytes, language: Language) -> Parsed:
    """Parse from the start."""
    return Parsed(source, language, parser_for(language).parse(source), True)


def parse_again(source: bytes, language: Language) -> Parsed:
    """Parse with what an earlier tree of nearly the same source has; from the start when there is none."""
    global _kept
    kept = _kept
    ends = [(_ends(one.source, source), one) for one in kept if one.language is language]
    (start, end), base = max(ends, key=lambda row: sum(row[0]), default=((0, 0), None))
    if base is None or 2 * (start + end) < len(source):
        base, parsed = None, parse_fresh(source, language)
    else:
        tree = base.tree.copy()
        old_end, new_end = len(base.source) - end, len(source) - end
        points = (_point(base.source, start), _point(base.source, old_end), _point(source, new_end))
        tree.edit(start, old_end, new_end, *points)
        parsed = Parsed(source, language, parser_for(language).parse(source, tree), False)
    _kept = (parsed, *(one for one in kept if one is not base))[:N_KEPT]
    return parsed


def _ends(old: bytes, new: bytes) -> tuple[int, int]:
    """How many bytes two sources share at their start, and how many of the rest at their end."""
    start = _n_same(old, new)
    n_left = min(len(old), len(new)) - start
    return start, _n_same(old[len(old) - n_left :][::-1], new[len(new) - n_left :][::-1])


def _n_same(left: bytes, right: bytes) -> int:
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _point(source: bytes, at: int) -> tuple[int, int]:
    return source.count(b"\n", 0, at), at - (source.rfind(b"\n", 0, at) + 1)

"""Code from a conversation, put where it belongs in a document: no model is asked.

Selected lines give way to it. Otherwise it takes the place of the definitions that it defines anew, and code that
defines nothing of the document goes in at the cursor.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from lsp_server.actions.changes import Change, changes
from lsp_server.actions.target import common_indent, line_end, line_text, target_of
from lsp_server.errors import KrukError
from lsp_server.syntax.definitions import Definition, Outline, has_outline, outline
from lsp_server.syntax.languages import Language
from lsp_server.text import Document, unix

_CALLED = ("function", "method")
_ADDED = (*_CALLED, "class", "type")  # a constant is more likely an example of use


@dataclass(frozen=True)
class Put:
    """What to change, and how many lines of the code have no place in the document."""

    changes: tuple[Change, ...]
    n_left_out: int = 0


def put(document: Document, language: Language | None, start: int, end: int, code: str) -> Put:
    """Where `code` goes; [start, end) is the selection. Raises KrukError when that is not clear."""
    lines = unix(code).strip("\n").rstrip().split("\n")
    indent = common_indent(lines)
    lines = [line[len(indent) :] for line in lines]
    if not any(lines):
        raise KrukError("There is no code to apply", "Ask for it in a code block.")
    if start != end:
        return Put(tuple(changes(target_of(document, language, start, end), "\n".join(lines))))
    if language and has_outline(language):
        there = outline(document.text, language)
        here = outline("\n".join(lines) + "\n", language)
        pairs = _pairs(here, there, document.line_of(start))
        if pairs:
            return _replaced(document, language, lines, here, pairs)
    return Put((_inserted(document, start, lines),))


def _pairs(here: Outline, there: Outline, line: int) -> list[tuple[Definition, Definition]]:
    """Each definition of the code with the one of the document that it stands for, in the document's order."""
    pairs = []
    for new in (it for it in here.definitions if not it.parent):
        olds = [old for old in there.definitions if old.name == new.name and _are_alike(old, new)]
        if not olds:
            continue
        around = [old for old in olds if old.start <= line < old.end]
        if len(olds) > 1 and len(around) != 1:
            hint = "Put the cursor into the one that is meant."
            raise KrukError(f"`{new.name}` is defined {len(olds)} times here", hint)
        old = (around or olds)[0]
        members = {it.name for it in here.definitions if it.parent == new.name}
        qualified = f"{old.parent}.{old.name}" if old.parent else old.name
        lost = [it.name for it in there.definitions if it.parent == qualified and it.name not in members]
        if lost and old.kind not in _CALLED:
            raise KrukError(
                f"The code leaves out `{lost[0]}` of `{new.name}`",
                "Select the lines that must give way.",
            )
        pairs.append((new, old))
    pairs.sort(key=lambda pair: pair[1].start)
    if any(first.end > second.start for (_, first), (_, second) in pairwise(pairs)):
        raise KrukError("The code defines one thing twice", "Select the lines that must give way.")
    return pairs


def _are_alike(old: Definition, new: Definition) -> bool:
    return old.kind == new.kind or (old.kind in _CALLED and new.kind in _CALLED)


def _replaced(
    document: Document,
    language: Language,
    lines: list[str],
    here: Outline,
    pairs: list[tuple[Definition, Definition]],
) -> Put:
    """The definitions in place of the old ones; those that are new follow the last."""
    out: list[Change] = []
    for new, old in pairs:
        head = _head(lines, new)
        first = old.start if head > new.start else old.start + _head(_lines_of(document, old), old, old.start)
        text = lines[new.start : new.end]
        target = target_of(document, language, document.line_starts[first], line_end(document, old.end - 1))
        out += changes(target, "\n".join(text))
    known = {new.name for new, _ in pairs}
    others = [it for it in here.definitions if not it.parent and it.name not in known and it.kind in _ADDED]
    _, last = pairs[-1]
    at = line_end(document, last.end - 1)
    shift = line_text(document, last.start)
    shift = shift[: len(shift) - len(shift.lstrip())]
    gap = [""] * (1 if shift else 2)
    added = [line for it in others for line in [*gap, *lines[it.start : it.end]]]
    if added:
        shifted = [shift + line if line.strip() else "" for line in added]
        out.append(Change(at, at, "".join(document.newline + line for line in shifted)))
    used = {n for it in [*(new for new, _ in pairs), *others] for n in range(it.start, it.end)}
    left_out = sum(bool(line.strip()) for n, line in enumerate(lines) if n not in used)
    return Put(tuple(out), left_out)


def _lines_of(document: Document, definition: Definition) -> list[str]:
    return [line_text(document, n) for n in range(definition.start, definition.end)]


def _head(lines: list[str], definition: Definition, base: int = 0) -> int:
    """The line that a definition's signature begins on, below its comments and decorators."""
    first = definition.signature.split("\n")[0].strip()
    rows = range(definition.start - base, definition.end - base)
    return next((n for n in rows if first and lines[n].strip().startswith(first)), definition.start - base)


def _inserted(document: Document, offset: int, lines: list[str]) -> Change:
    """The lines at the cursor: on its line when that is blank, else below it, as deep as it stands."""
    line = document.line_of(offset)
    text = line_text(document, line)
    indent = text[: len(text) - len(text.lstrip())]
    shifted = [indent + it if it.strip() else "" for it in lines]
    end = line_end(document, line)
    if not text.strip():
        return Change(document.line_starts[line], end, document.newline.join(shifted))
    return Change(end, end, "".join(document.newline + it for it in shifted))

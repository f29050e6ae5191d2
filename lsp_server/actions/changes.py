"""A new text for some lines as the few edits that lead there. Line ends, and lines that stay, are left alone."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from lsp_server.actions.target import Target, line_end, line_text
from lsp_server.text import Document, unix


@dataclass(frozen=True)
class Change:
    """Put `text` in place of [start, end) of a document."""

    start: int
    end: int
    text: str


def changes(target: Target, code: str) -> list[Change]:
    """What to change in the target's lines so that they are `code`, in document order.

    Lines that differ in white space at their ends only do not differ.
    """
    new = [(target.indent + line.rstrip() if line.strip() else "") for line in code.split("\n")]
    old = [target.indent + line if line.strip() else "" for line in target.code.split("\n")]
    return _line_changes(target.document, target.document.line_of(target.start), old, new)


def changes_of_all(document: Document, text: str) -> list[Change]:
    """What to change in a document so that it has this text, line ends aside."""
    old = [line_text(document, n) for n in range(len(document.line_starts))]
    return _line_changes(document, 0, old, unix(text).split("\n"))


def _line_changes(document: Document, first: int, old: list[str], new: list[str]) -> list[Change]:
    """What to change so that the lines from `first` on, which are `old`, become `new`."""
    matcher = difflib.SequenceMatcher(
        None, [line.rstrip() for line in old], [line.rstrip() for line in new], autojunk=False
    )
    return [
        _change(document, first + i, first + j, new[k:m], first + len(old))
        for tag, i, j, k, m in matcher.get_opcodes()
        if tag != "equal"
    ]


def apply(text: str, edits: list[Change]) -> str:
    """The text after the changes."""
    for edit in reversed(edits):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _change(document: Document, first: int, last: int, lines: list[str], end: int) -> Change:
    """Put lines in place of those from `first` to before `last`; `end` is the line behind all that may change."""
    newline = document.newline
    if first == last:  # between two lines: above the second, or behind the first when that is the target's last
        if first < end:
            at = document.line_starts[first]
            return Change(at, at, "".join(line + newline for line in lines))
        at = line_end(document, first - 1)
        return Change(at, at, "".join(newline + line for line in lines))
    start, stop = document.line_starts[first], line_end(document, last - 1)
    if lines:
        return Change(start, stop, newline.join(lines))
    if last < end:  # with the line end behind them
        return Change(start, document.line_starts[last], "")
    return Change(line_end(document, first - 1) if first else start, stop, "")

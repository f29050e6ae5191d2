"""From what the model wrote to what is shown: small filters in a fixed order, until none changes the text.

A filter is a function of the text and the hole it fills. All but the one for indentation only shorten. Texts
have one kind of line end; the caller knows the document's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from lsp_server.completion import brackets, indentation, repeats
from lsp_server.completion.block import BodyReader
from lsp_server.completion.hole import Hole, hole_at
from lsp_server.completion.statement import MAX_STATEMENT_LINES, statement_end
from lsp_server.completion.trigger import Shape
from lsp_server.syntax.languages import Language
from lsp_server.syntax.scan import scan

_N_ROUNDS = 8
_MOST_BLANK_LINES = 3
_N_PROSE_WORDS = 3
_FENCE = re.compile(r"```|~~~")
_PROSE = re.compile(
    r"(?:Here(?:'s| is| are)|Explanation\b|Note(?: that|:)|Sure[,!.]|Certainly|Of course|I hope"
    r"|(?:This|The|In this|The above) (?:code|function|method|program|example|implementation|script|solution)"
    r"|You can (?:use|also|call|run)|To use this)"
)
_CODE_SIGNS = re.compile(r"[=({\[;]")


@dataclass(frozen=True, slots=True)
class Finished:
    """What is left of a completion.

    Attributes:
        text: To be inserted at the cursor; empty when nothing is worth showing.
        reason: Why it is empty, said of the completion: "repeats the text below"; None when it is not empty.
        notes: What was wrong with it and is not any more, in order, in the same words; for the trace.
    """

    text: str
    reason: str | None
    notes: tuple[str, ...]


def finish(
    raw: str,
    prefix: str,
    suffix: str,
    shape: Shape,
    language: Language | None,
    control_texts: Collection[str],
) -> Finished:
    """The text to show for what the model wrote between `prefix` and `suffix`.

    Idempotent: finishing a finished text changes nothing. Looks only at a window of the prefix and the suffix.
    """
    if not raw.strip():
        return Finished("", "the model had nothing to add here", ())
    hole = hole_at(prefix, suffix, shape, language, control_texts)
    text = raw
    notes: list[str] = []
    for _round in range(_N_ROUNDS):
        before = text
        for note, filter_ in FILTERS:
            filtered = filter_(text, hole)
            if filtered != text and note not in notes:
                notes.append(note)
            if not filtered.strip():
                return Finished("", note, tuple(notes))
            text = filtered
        if text == before:
            break
    return Finished(text, None, tuple(notes))


def _control_texts(text: str, hole: Hole) -> str:
    found = [text.find(control) for control in hole.control_texts if control and control in text]
    return text[: min(found)] if found else text


def _chat(text: str, hole: Hole) -> str:
    """Cut where the model stops writing code and begins to talk; only where code is certain."""
    if hole.language is None:
        return text
    lines = text.split("\n")
    if _FENCE.match(lines[0]) and not hole.line_prefix.strip() and hole.state.region == "code":
        lines = lines[1:]
    state = hole.state
    for i, line in enumerate(lines):
        at_left_edge = i > 0 or not hole.line_prefix
        if at_left_edge and state.region == "code" and (_FENCE.match(line) or _is_prose(line)):
            return "\n".join(lines[:i])
        state = scan(line + "\n", hole.language, state).state
    return "\n".join(lines)


def _is_prose(line: str) -> bool:
    return bool(_PROSE.match(line)) and len(line.split()) >= _N_PROSE_WORDS and not _CODE_SIGNS.search(line)


def _one_line(text: str, hole: Hole) -> str:
    """The first line with something on it; the new lines before it stay, or it would join the cursor's line."""
    if hole.shape.kind != "line":
        return text
    if hole.line_suffix.strip():
        return text.split("\n")[0]
    lines = text.split("\n")
    n_blank = next((i for i, line in enumerate(lines) if line.strip()), 0)
    return "\n" * min(n_blank, _MOST_BLANK_LINES) + lines[n_blank]


def _statement(text: str, hole: Hole) -> str:
    """Everything up to the end of the statement, which is most often the first line with something on it."""
    if hole.shape.kind != "statement":
        return text
    lines = text.split("\n")
    n_blank = next((i for i, line in enumerate(lines) if line.strip()), 0)
    lines = [""] * min(n_blank, _MOST_BLANK_LINES) + lines[n_blank : n_blank + MAX_STATEMENT_LINES]
    text = "\n".join(lines)
    return text[: statement_end(text, hole)].rstrip("\n")


def _string(text: str, hole: Hole) -> str:
    """Nothing, where a string that ends with its line would have to go on in the next one."""
    first, line_end, _ = text.partition("\n")
    leaves = hole.state.region == "string" and line_end and not first.strip()
    return "" if leaves and hole.scan("\n").state.n_faults else text


def _body(text: str, hole: Hole) -> str:
    """Everything up to the end of the body."""
    if hole.shape.kind != "block":
        return text
    reader = BodyReader(hole.shape, hole.prefix, hole.language, hole.state)
    n_read = 0
    for line in re.findall(r"[^\n]*\n|[^\n]+\Z", text):
        end = reader.read(line)
        if end:
            return text[: n_read + end.offset]
        n_read += len(line)
    return text


def _trailing_space(text: str, hole: Hole) -> str:
    if not hole.line_suffix.strip() or hole.line_suffix[0].isspace():
        return text.rstrip()
    return text.rstrip("\n")


# What is said of a completion that a filter changes, and the filter.
Filter = Callable[[str, Hole], str]

FILTERS: tuple[tuple[str, Filter], ...] = (
    ("holds a control token of the model", _control_texts),
    ("talks about the code", _chat),
    ("repeats the indentation", indentation.first_line),
    ("has another indentation than the document", indentation.document_style),
    ("repeats itself", repeats.loop),
    ("has more than one line", _one_line),
    ("leaves a string open", _string),
    ("goes beyond the statement", _statement),
    ("goes beyond the body", _body),
    ("repeats the text below", repeats.lines_below),
    ("repeats the text below", repeats.rest_of_line),
    ("closes a bracket that is not open", brackets.stray_closers),
    ("does not parse", brackets.syntax),
    ("is not finished", brackets.unfinished),
    ("repeats the line above", repeats.line_above),
    ("ends in white space", _trailing_space),
)

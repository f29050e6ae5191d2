"""Document: a doc comment in the language's own form, put where it belongs. The code's lines stay as they are.

The model is made to begin its answer with the definition up to where the comment's text belongs, so that it writes
nothing but that text, in the form that it has seen a thousand times.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from lsp_server.actions.ask import Count, OnText, ask
from lsp_server.actions.changes import Change
from lsp_server.actions.edit import Outcome, problem_of
from lsp_server.actions.languages import Comment, habits
from lsp_server.actions.reply import fence_for
from lsp_server.actions.target import Target, definition_named_at, line_text
from lsp_server.chat.template import Message
from lsp_server.errors import KrukError
from lsp_server.model.base import Model
from lsp_server.model.states import States
from lsp_server.model.worker import Steps
from lsp_server.syntax.tree import parse

MAX_TOKENS = 256
MAX_COLUMNS = 88
MIN_COLUMNS = 40  # of text, however deep the code is indented


@dataclass(frozen=True)
class Place:
    """Where a comment goes: above a line of the document, with its indentation.

    Attributes:
        before: The target's lines in front of it.
    """

    line: int
    indent: str
    before: str


def document(
    target: Target, words: str, states: States, on_text: OnText = lambda _: None
) -> Callable[[Model], Steps[Outcome]]:
    """Make the work of documenting the target, which is one definition.

    Raises KrukError when it is none, has a comment already, or the language has no convention.
    """
    comment = habits(target.language).comment
    if comment is None or target.language is None:
        raise KrukError(f"Kruk knows no doc comments for `{target.document.language_id}`", "Use Edit instead.")
    if not target.is_definition:
        raise KrukError("Only a definition can be documented", "Put the cursor into one, or select all of it.")
    place = _place(target, comment)

    def start(model: Model) -> Steps[Outcome]:
        count = Count()
        fence = f"{fence_for(target.code)}{target.document.language_id}\n"
        begins = fence + place.before + _opening(comment, place, target)
        watch = _End(comment, len(begins))
        generation = yield from ask(
            model, [Message("user", words)], MAX_TOKENS, on_text, states, begins=begins, stop=watch, count=count
        )
        text = _text(generation.text[len(begins) :], comment, is_whole=generation.ended_by != "length")
        if comment.begins_with_name and text:
            text = f"{target.name} {text}"
        if not text:
            return Outcome(refusal="The model wrote no comment.", count=count)
        change = _change(target, comment, place, text)
        if problem := problem_of(target, [change]):
            return Outcome(refusal=f"The comment would not parse: {problem}.", count=count)
        return Outcome((change,), count=count)

    return start


def _place(target: Target, comment: Comment) -> Place:
    document, language = target.document, target.language
    first = document.line_of(target.start)
    if comment.place == "above":
        named = definition_named_at(document, language, target.start)
        line = min(first, named.start) if named and named.name == target.name else first
        if _is_comment(_line(target, line).strip(), comment) or _is_comment(_line(target, line - 1).strip(), comment):
            raise KrukError(f"`{target.name or 'This'}` has a comment already", "Use Edit to change it.")
        return Place(line, target.indent, "")
    lines = target.code.split("\n")
    n_header = _header_lines(target)
    body = next((line for line in lines[n_header:] if line.strip()), "")
    indent = body[: len(body) - len(body.lstrip())]
    if body.lstrip().startswith((comment.open, "'''", '"', "'")):
        raise KrukError(f"`{target.name or 'This'}` has a docstring already", "Use Edit to change it.")
    before = "\n".join(lines[:n_header]) + "\n"
    return Place(first + n_header, target.indent + indent, before)


def _header_lines(target: Target) -> int:
    """How many lines the definition's header has: the fewest behind which a body can follow."""
    lines = target.code.split("\n")
    assert target.language
    for n in range(1, len(lines)):
        body = lines[n][: len(lines[n]) - len(lines[n].lstrip())] or target.language.indent.unit
        for probe in target.language.body_probes:
            if not parse("\n".join(lines[:n]) + f"\n{body}{probe}\n", target.language).has_errors:
                return n
    raise KrukError("This definition has no body of its own lines", "Break its line, then document it.")


def _line(target: Target, line: int) -> str:
    return "" if line < 0 else line_text(target.document, line)


def _is_comment(line: str, comment: Comment) -> bool:
    mark = (comment.close or comment.line).strip()
    return line.endswith(mark) if comment.open else line.startswith(mark)


def _opening(comment: Comment, place: Place, target: Target) -> str:
    """What stands in front of the text, as the model would write it; its last space belongs to the next token."""
    name = target.name if comment.begins_with_name else ""
    if comment.place == "inside":
        return f"{place.indent.removeprefix(target.indent)}{comment.open}"
    return (f"{comment.open}\n" if comment.open else "") + (comment.line + name).rstrip(" ")


@dataclass
class _End:
    """A stop rule: the comment is closed, or the next line is none of it. What was given does not count."""

    comment: Comment
    n_given: int
    said: str = ""

    def __call__(self, new: str) -> bool:
        self.said += new
        text = self.said[self.n_given :]
        if self.comment.open:
            return self.comment.close.strip() in text
        *_, last = text.split("\n")
        mark = self.comment.line.strip()
        return "\n" in text and bool(last.strip()) and not (last.lstrip() + mark).startswith(mark)


def _text(said: str, comment: Comment, is_whole: bool = True) -> str:
    """The comment's own words, from what the model wrote in the language's form.

    Without the paragraph that it was cut off in, and without fences, unless each is closed.
    """
    if comment.open:
        said = said.split(comment.close.strip())[0]
    mark = comment.line.strip()
    first, *others = said.split("\n")
    lines = [first.strip()]
    for line in textwrap.dedent("\n".join(others)).split("\n"):
        if mark and not line.strip().startswith(mark):
            if not comment.open:
                break
            lines.append(line.strip())
        else:
            lines.append(line.strip().removeprefix(mark).removeprefix(" ").rstrip() if mark else line.rstrip())
    if not is_whole:
        lines = "\n".join(lines).rstrip().rpartition("\n\n")[0].split("\n")
    if sum(line.startswith("```") for line in lines) % 2:
        lines = [line for line in lines if not line.startswith("```")]
    text = "\n".join(lines).strip()
    return text.replace("\\", "\\\\") if comment.is_string else text


def _change(target: Target, comment: Comment, place: Place, text: str) -> Change:
    """Put the comment into the document, in lines that are not too long."""
    document = target.document
    width = max(MIN_COLUMNS, MAX_COLUMNS - len(place.indent.expandtabs(4)) - len(comment.line))
    lines = []
    for line in text.split("\n"):
        indent = line[: len(line) - len(line.lstrip())]
        lines += textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False) or [""]
    if comment.place == "above":
        lines = [(comment.line + line).rstrip() for line in lines]
        lines = [comment.open, *lines, comment.close] if comment.open else lines
    elif len(lines) == 1:
        lines = [comment.open + lines[0] + comment.close]
    else:
        lines = [comment.open + lines[0], *lines[1:], comment.close]
    newline = document.newline
    at = document.line_starts[place.line]
    return Change(at, at, "".join((place.indent + line if line else "") + newline for line in lines))

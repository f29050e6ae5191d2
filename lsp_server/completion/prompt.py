"""The prompt of one completion as token ids, in the model's own format and order."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lsp_server.context.window import Window
from lsp_server.model.base import FimIds, Model
from lsp_server.model.generate import Prompt, heal
from lsp_server.text import unix

_MARKER = re.compile(r"(<[^<>{}\s]+>|\[[A-Z]+\])")


@dataclass(frozen=True)
class Context:
    """What is shown beside the file at the cursor.

    Attributes:
        repo: Name of the workspace.
        path: Of the file at the cursor, relative to the workspace.
        pieces: (path, text) in the order of the prompt.
        comment: What begins a comment line, for models that have no format for other files.
    """

    repo: str = ""
    path: str = ""
    pieces: tuple[tuple[str, str], ...] = ()
    comment: str = "#"


@dataclass(frozen=True)
class Parts:
    """The text around the cursor, in the three pieces of an anchored prompt; line ends are newlines."""

    head: str
    tail: str
    suffix: str
    context: Context = Context()

    @classmethod
    def of(cls, text: str, window: Window, above: str, context: Context) -> Parts:
        """Cut the parts of a window out of a document's text; `above` comes before the head."""
        head = above + unix(window.head(text))
        return cls(head, unix(window.tail(text)), unix(window.suffix(text)), context)


def build(model: Model, parts: Parts, n_reserved: int) -> Prompt:
    """Make the prompt for `parts`, leaving `n_reserved` tokens of the model's context free.

    FIM in the model's order (psm: head, suffix, tail; spm: suffix, head and tail), other files before it in the
    model's format, or as comments; a model without FIM gets the text before the cursor. The tail is healed: the
    tokens at its end that are given back are what the output has to begin with. What does not fit is cut from
    the head's beginning, then from the suffix's end, and the other files are left out.
    Source: the model cards named in models.json; FIM paper arXiv:2207.14255.
    """
    fim = model.info.fim
    tail_ids, given_back = heal(model, parts.tail)
    suffix_ids = model.tokenize(parts.suffix) if fim else []
    start_ids, head_ids = _before_tail(model, parts)
    room = model.info.n_ctx - n_reserved - len(tail_ids) - len(given_back) - 8
    if len(start_ids) + len(head_ids) + len(suffix_ids) > room:
        start_ids, head_ids = _before_tail(model, Parts(parts.head, parts.tail, parts.suffix))
    if len(head_ids) + len(suffix_ids) > room:
        suffix_ids = suffix_ids[: max(0, room // 4)]
        n_head = max(0, room - len(suffix_ids))
        head_ids = head_ids[len(head_ids) - min(n_head, len(head_ids)) :]
    begin = [model.info.bos] if model.info.bos is not None else []
    return Prompt((*begin, *start_ids, *_order(fim, head_ids, tail_ids, suffix_ids)), given_back)


def _before_tail(model: Model, parts: Parts) -> tuple[list[int], list[int]]:
    """Token ids at the very start, and those of the head."""
    form = model.info.fim.format if model.info.fim else None
    context = parts.context
    if form is None or form.file_header is None:
        return [], model.tokenize(_as_comments(context) + parts.head)
    if not context.pieces and not (form.header_alone and context.path):
        return [], model.tokenize(parts.head)
    ids = _marked(model, form.repo_header or "", context)
    for path, text in context.pieces:
        ids += _marked(model, form.file_header, context, path) + model.tokenize(text + "\n")
    ids += _marked(model, form.file_header if form.current_header is None else form.current_header, context)
    head_ids = _marked(model, form.prefix_header or "", context) + model.tokenize(parts.head)
    return ([], ids + head_ids) if form.context_at == "prefix" else (ids, head_ids)


def _marked(model: Model, header: str, context: Context, path: str | None = None) -> list[int]:
    """Token ids of a header; its markers are control tokens, the names in it never."""
    ids: list[int] = []
    for part in _MARKER.split(header):
        marker = model.token_id(part) if _MARKER.fullmatch(part) else None
        text = part.format(repo=context.repo, path=context.path if path is None else path)
        ids += model.tokenize(text) if marker is None else [marker]
    return ids


def _as_comments(context: Context) -> str:
    """Other files for a model that knows only one: commented out, under their paths."""
    lines: list[str] = []
    for path, text in context.pieces:
        lines += [f"{context.comment} {line}".rstrip() for line in (path, *text.split("\n"))]
    return "".join(line + "\n" for line in lines)


def _order(fim: FimIds | None, head: list[int], tail: list[int], suffix: list[int]) -> list[int]:
    if fim is None:
        return [*head, *tail]
    middle = [] if fim.middle is None else [fim.middle]
    if fim.format.order == "psm":
        return [fim.prefix, *head, fim.suffix, *suffix, *middle, *tail]
    # Trained suffix-first. With a middle token the tail may follow it, as in the other order; the prefix token
    # stands directly before the text otherwise (Codestral), and that too grows only at its end.
    return [fim.suffix, *suffix, fim.prefix, *head, *middle, *tail]

"""The prompt of one completion as token ids, in the model's own format and order."""

from __future__ import annotations

from dataclasses import dataclass

from lsp_server.context.window import Window
from lsp_server.model.base import FimIds, Model
from lsp_server.model.generate import Prompt, heal
from lsp_server.text import unix


@dataclass(frozen=True)
class Parts:
    """The text around the cursor, in the three pieces of an anchored prompt; line ends are newlines."""

    head: str
    tail: str
    suffix: str

    @classmethod
    def of(cls, text: str, window: Window) -> Parts:
        """Cut the parts of a window out of a document's text."""
        return cls(unix(window.head(text)), unix(window.tail(text)), unix(window.suffix(text)))


def build(model: Model, parts: Parts, n_reserved: int) -> Prompt:
    """Make the prompt for `parts`, leaving `n_reserved` tokens of the model's context free.

    FIM in the model's order (psm: head, suffix, tail; spm: suffix, head and tail); a model without FIM gets
    the text before the cursor. The tail is healed: the tokens at its end that are given back are what
    the output has to begin with. What does not fit is cut from the head's beginning, then from
    the suffix's end.
    Source: the model cards named in models.json; FIM paper arXiv:2207.14255.
    """
    tail_ids, given_back = heal(model, parts.tail)
    head_ids = model.tokenize(parts.head)
    fim = model.info.fim
    suffix_ids = model.tokenize(parts.suffix) if fim else []
    room = model.info.n_ctx - n_reserved - len(tail_ids) - len(given_back) - 8
    if len(head_ids) + len(suffix_ids) > room:
        suffix_ids = suffix_ids[: max(0, room // 4)]
        n_head = max(0, room - len(suffix_ids))
        head_ids = head_ids[len(head_ids) - min(n_head, len(head_ids)) :]
    begin = [model.info.bos] if model.info.bos is not None else []
    return Prompt((*begin, *_order(fim, head_ids, tail_ids, suffix_ids)), given_back)


def _order(fim: FimIds | None, head: list[int], tail: list[int], suffix: list[int]) -> list[int]:
    if fim is None:
        return [*head, *tail]
    middle = [] if fim.middle is None else [fim.middle]
    if fim.format.order == "psm":
        return [fim.prefix, *head, fim.suffix, *suffix, *middle, *tail]
    # Trained suffix-first. With a middle token the tail may follow it, as in the other order; the prefix token
    # stands directly before the text otherwise (Codestral), and that too grows only at its end.
    return [fim.suffix, *suffix, fim.prefix, *head, *middle, *tail]

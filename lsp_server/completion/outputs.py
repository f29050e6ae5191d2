"""What the model wrote lately, shown or not: who types along it would only be told the same again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from lsp_server.completion.cache import Suggestion, placed
from lsp_server.completion.request import CompletionRequest
from lsp_server.completion.stop import stop_rule
from lsp_server.completion.trigger import Shape
from lsp_server.model.generate import Generation
from lsp_server.text import unix

N_KEPT = 16


@dataclass(frozen=True)
class Output:
    """An output at its place, before `finish` has seen it. `control_texts`: of the model that wrote it."""

    place: Suggestion
    generation: Generation
    control_texts: tuple[str, ...]

    def rest(self, request: CompletionRequest, shape: Shape, n_most: int) -> Output | None:
        """What is left of it, when the model would stop there; None when it may have more to say.

        One that was as long as may be is no better for going on, as long as half of it is left.
        """
        document, offset = request.document, request.offset
        if self.place.rest(document.uri, document.text, offset) is None:
            return None
        left = self.generation.after(len(unix(document.text[self.place.at : offset])))
        is_whole = left.ended_by == "model" or (left.ended_by == "length" and 2 * left.n_tokens >= n_most)
        if not is_whole:
            is_whole = stop_rule(shape, request.prefix, request.suffix, request.part.language).feed(left.text)
        return Output(self.place, left, self.control_texts) if is_whole else None


class Outputs:
    """The newest outputs of a session."""

    def __init__(self) -> None:
        self._kept: deque[Output] = deque(maxlen=N_KEPT)

    def add(self, request: CompletionRequest, generation: Generation, control_texts: tuple[str, ...]) -> Output:
        """Remember what was written for a request."""
        document = request.document
        text = generation.text.replace("\n", document.newline)
        output = Output(placed(document.uri, document.text, request.offset, text), generation, control_texts)
        self._kept.append(output)
        return output

    def find(self, request: CompletionRequest, shape: Shape, n_most: int) -> Output | None:
        """What is left of the newest one that the request's text is on the way of."""
        return next(filter(None, (kept.rest(request, shape, n_most) for kept in reversed(self._kept))), None)

    def newest(self, uri: str) -> Suggestion | None:
        """The newest output in a document."""
        return next((kept.place for kept in reversed(self._kept) if kept.place.uri == uri), None)

    def forget(self, uri: str) -> None:
        """Drop what was written in a document."""
        self._kept = deque((kept for kept in self._kept if kept.place.uri != uri), maxlen=N_KEPT)

    def clear(self) -> None:
        """Drop everything: another model, other settings."""
        self._kept.clear()

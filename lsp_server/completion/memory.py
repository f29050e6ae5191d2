"""What one completion leaves for the next."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from lsp_server.completion.cache import SuggestionCache
from lsp_server.completion.outputs import Outputs
from lsp_server.completion.recall import Recall
from lsp_server.context.projects import Projects
from lsp_server.context.relevance import Chosen
from lsp_server.context.window import Anchored
from lsp_server.model.base import Evaluation
from lsp_server.model.states import States
from lsp_server.text import Document


@dataclass(frozen=True)
class Spare:
    """A new anchor or other context for a document, whose prompt is evaluated in idle time."""

    uri: str
    anchored: Anchored
    chosen: Chosen | None
    job: Future[Evaluation]

    def is_ready(self, document: Document, offset: int) -> bool:
        """Whether it is evaluated, and still good for this text and cursor."""
        is_evaluated = self.job.done() and not self.job.cancelled()
        return is_evaluated and self.uri == document.uri and self.anchored.holds(document.text, offset)


@dataclass
class Memory:
    """What one completion leaves for the next; owned by the session."""

    cache: SuggestionCache = field(default_factory=SuggestionCache)
    outputs: Outputs = field(default_factory=Outputs)
    anchors: dict[str, Anchored] = field(default_factory=dict)
    spare: Spare | None = None
    warming: Future[Any] | None = None
    states: States = field(default_factory=lambda: States(None))
    recall: Recall | None = None
    projects: Projects = field(default_factory=Projects)
    chosen: dict[str, Chosen] = field(default_factory=dict)  # what the model sees of other files, by document
    key: str = ""  # what suggestions depend on besides the text: see recall.key_of
    _recalled: set[str] = field(default_factory=set)

    def recollect(self, uri: str) -> None:
        """Take over what earlier runs knew of a document, once."""
        if self.recall and uri not in self._recalled:
            self._recalled.add(uri)
            recalled = self.recall.load(uri, self.key)
            if recalled.anchored:
                self.anchors.setdefault(uri, recalled.anchored)
            self.cache.put(recalled.suggestions)

    def keep(self, uri: str) -> None:
        """Leave what is known of a document for later runs."""
        if self.recall:
            self.recall.save(uri, self.key, self.anchors.get(uri), self.cache.of(uri))

    def forget(self, uri: str) -> None:
        """Drop what is known of a document, in RAM."""
        self.anchors.pop(uri, None)
        self.cache.forget(uri)
        self.outputs.forget(uri)
        self.chosen.pop(uri, None)
        self._recalled.discard(uri)

    def forget_suggestions(self, key: str) -> None:
        """Drop every suggestion: another model, other settings. What those had before is recalled."""
        self.key = key
        self.cache.clear()
        self.outputs.clear()
        self.chosen.clear()
        self._recalled.clear()

    def stop_warming(self) -> None:
        """Stop evaluating a prompt that nobody has asked for."""
        if self.warming:
            self.warming.cancel()
        if self.spare:
            self.spare.job.cancel()

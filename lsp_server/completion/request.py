"""What is asked for: one place in one document, frozen at the door."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from lsp_server.syntax.embedded import Part, part_at
from lsp_server.syntax.languages import language_for
from lsp_server.syntax.tree import surroundings
from lsp_server.text import Document, unix

Trigger: TypeAlias = Literal["invoked", "automatic", "ahead"]  # ahead: nobody has asked yet


@dataclass(frozen=True)
class CompletionRequest:
    """`path` is relative to the workspace; None for what is in no file. `n_most`: tokens, by the client."""

    document: Document
    offset: int
    path: str | None
    trigger: Trigger
    root: str | None = None  # URI of the workspace folder that `path` is relative to
    n_most: int | None = None

    def at_most(self, n_tokens: int) -> int:
        """So many tokens, or as few as the client wants."""
        return min(n_tokens, self.n_most or n_tokens)

    @functools.cached_property
    def part(self) -> Part:
        """The piece of the document that is in the cursor's language: a code fence, or all of it."""
        language = language_for(self.document.language_id, self.path)
        return part_at(self.document.text, self.offset, language)

    @functools.cached_property
    def _around(self) -> tuple[str, str]:
        text, offset, part = self.document.text, self.offset, self.part
        if (part.start, part.end) != (0, len(text)):
            text, offset = text[part.start : part.end], offset - part.start
        return surroundings(text, offset)

    @property
    def prefix(self) -> str:
        """The part's text before the cursor with newlines for line ends, as far as anything looks at it."""
        return self._around[0]

    @property
    def suffix(self) -> str:
        """The part's text behind the cursor, in the same way."""
        return self._around[1]

    def after_accepting(self, text: str) -> CompletionRequest:
        """Return the request that comes next when `text`, suggested for this one, is accepted."""
        before, after = self.document.text[: self.offset], self.document.text[self.offset :]
        document = replace(self.document, text=before + text + after)
        return replace(self, document=document, offset=self.offset + len(text), trigger="ahead")

    def typed_since(self, earlier: CompletionRequest) -> str | None:
        """Return what was typed at the cursor since an earlier request; None when anything else changed."""
        now, then = self.document.text, earlier.document.text
        n_typed = self.offset - earlier.offset
        if self.document.uri != earlier.document.uri or n_typed < 0 or len(now) != len(then) + n_typed:
            return None
        if not now.startswith(then[: earlier.offset]) or not now.endswith(then[earlier.offset :]):
            return None
        return unix(now[earlier.offset : self.offset])

"""Where nothing is suggested at all, and why."""

from __future__ import annotations

from functools import lru_cache

import pathspec

from lsp_server.completion.request import CompletionRequest
from lsp_server.settings import CompletionSettings

MAX_DOCUMENT_CHARS = 20_000_000
BINARY_PROBE_CHARS = 8000  # a NUL among the first of them: not a text, as git decides it too


def refusal(request: CompletionRequest, settings: CompletionSettings) -> str | None:
    """Say why nothing is suggested in this file at all, or None."""
    document = request.document
    if not settings.enabled:
        return "completions are switched off (`kruk.completion.enabled`, or the command `kruk.toggle`)"
    if document.language_id in settings.disabled_languages:
        return f"completions are off for {document.language_id} (`kruk.completion.disabledLanguages`)"
    if len(document.text) > MAX_DOCUMENT_CHARS:
        return f"the file is too large ({len(document.text):,} characters)"
    if "\0" in document.text[:BINARY_PROBE_CHARS]:
        return "the file is binary"
    if request.path and (glob := excluded(request.path, settings.exclude_globs)):
        return f"the file is excluded by `{glob}` (`kruk.completion.excludeGlobs`)"
    return None


def excluded(path: str, globs: tuple[str, ...]) -> str | None:
    """Return the glob that excludes the path, or None. Globs are written as in .gitignore."""
    check = _spec(globs).check_file(path.replace("\\", "/").lstrip("/"))
    return globs[check.index] if check.include and check.index is not None else None


@lru_cache(maxsize=4)
def _spec(globs: tuple[str, ...]) -> pathspec.GitIgnoreSpec:
    return pathspec.GitIgnoreSpec.from_lines(globs)

"""The language of a text whose name nobody tells: the one whose definitions begin in it, and which it parses as."""

from __future__ import annotations

import functools
import math
import re
import textwrap

import tree_sitter

from lsp_server.syntax.languages import Language, languages, parser_for

MAX_CHARS = 6_000
MAX_ERROR_SHARE = 0.1
_SHARPNESS = 8  # a grammar that skips a tenth of the text must find twice as much in the rest


def guess_language(text: str) -> str:
    """Return an LSP language identifier, "" when nothing speaks for one."""
    text = text[:MAX_CHARS]
    source = textwrap.dedent(text).replace("\0", " ").encode("utf-8", "replace")
    best, language_id = 0.0, ""
    for language in languages():
        pattern = _definition(language)
        if pattern and pattern.search(text) and (fit := _fit(source, language)) > best:
            best, language_id = fit, language.language_ids[0]
    return language_id


@functools.cache
def _definition(language: Language) -> re.Pattern[str] | None:
    """A line that begins a definition and ends as one of this language does."""
    if not language.definition_words:
        return None
    words = "|".join(map(re.escape, language.definition_words))
    end = {"indent": r":", "braces": r"[{(,]", "end": r"[^\s;:{]"}[language.block_style]
    return re.compile(rf"^[ \t]*(?:{words}) +[\w(&*].*{end}[ \t\r]*$", re.MULTILINE)


def _fit(source: bytes, language: Language) -> float:
    """How much a grammar finds in a text, 0 when it skips too much. Rounded: of near equals the first row counts."""
    n_nodes = n_skipped = 0
    nodes: list[tree_sitter.Node] = [parser_for(language).parse(source).root_node]
    while nodes:
        node = nodes.pop()
        if node.is_error:
            n_skipped += node.end_byte - node.start_byte
        else:
            n_nodes += node.is_named
            nodes += node.children
    share = n_skipped / max(len(source), 1)
    return 0.0 if share > MAX_ERROR_SHARE else round((1 - share) ** _SHARPNESS * math.log(1 + n_nodes), 1)

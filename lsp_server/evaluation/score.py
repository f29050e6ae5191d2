"""What a suggestion is worth, compared with what stood in the hole."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lsp_server.evaluation.figures import edit_similarity
from lsp_server.evaluation.holes import Hole, first_line
from lsp_server.syntax.tree import parse


@dataclass(frozen=True)
class Score:
    """One suggestion's worth.

    Attributes:
        exact: Whether its first line is the missing one, white space around it aside.
        similarity: How alike it and the missing text are, from 0 to 1.
        parses: Whether the file with all of it has no syntax error; None where nothing was suggested, where there is
            one without it too, or where Kruk knows no grammar.
        repeats: Whether it ends with the rest of the cursor's line or the line below; what was missing does not.
    """

    exact: bool
    similarity: float
    parses: bool | None
    repeats: bool = False


def score(hole: Hole, text: str) -> Score:
    """Judge what was suggested for a hole; nothing ("") is neither exact nor alike."""
    parses = None
    if text and (language := hole.language) and not parse(hole.prefix + hole.suffix, language).has_errors:
        parses = not parse(hole.prefix + text + hole.suffix, language).has_errors
    exact = first_line(text) == first_line(hole.middle)
    repeated = _repeats(hole, text) and not _repeats(hole, hole.middle)
    similarity = edit_similarity(fitted(text, hole.middle).strip(), hole.middle.strip())
    return Score(exact, similarity, parses, repeated)


def fitted(text: str, middle: str) -> str:
    """What is compared with the middle: in a hole of one line, blank lines and the first that is not."""
    if "\n" in middle:
        return text
    body = text.lstrip("\n")
    return text[: len(text) - len(body)] + body.split("\n", 1)[0]


def _repeats(hole: Hole, text: str) -> bool:
    rest, _, below = hole.suffix.partition("\n")
    if _tells(rest):
        return text.rstrip().endswith(rest.strip())
    last = (hole.prefix.rpartition("\n")[2] + text).rstrip().rpartition("\n")[2].strip()
    following = next((line.strip() for line in below.split("\n") if line.strip()), "")
    return _tells(last) and last == following


def _tells(line: str) -> bool:
    """Whether a line is more than brackets, of which many are alike."""
    return re.search(r"\w\w", line) is not None

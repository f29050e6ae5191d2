"""What takes the place of the placeholders in an action's words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lsp_server.actions.action import Action
from lsp_server.actions.contract import comment_above
from lsp_server.actions.target import Target
from lsp_server.chat.language import wish
from lsp_server.chat.markdown import fenced


def values(
    action: Action,
    target: Target,
    problems: Sequence[tuple[str, str]],
    instruction: str,
    answer_language: str,
    path: Path | None,
) -> dict[str, str]:
    """Values by placeholder. `problems`: lines of code, and what is wrong in each."""
    return {
        "code": fenced(shown_code(action, target), target.document.language_id),
        "language": target.document.language_id,
        "name": target.name or "this code",
        "file": path.name if path else "",
        "diagnostics": "\n".join(f"- in the line `{line}`: {' '.join(what.split())}" for line, what in problems),
        "instruction": instruction,
        "answer_language": f" {wish('', answer_language)}" if answer_language else "",
    }


def shown_code(action: Action, target: Target) -> str:
    """The code with the comment above a definition, unless the answer takes the place of all that is shown."""
    above = comment_above(target) if action.edits != "code" and target.is_definition else ""
    return above + target.code


def instruction_in(target: Target) -> str:
    """What the comment at the start of the code says; "" when there is none."""
    if target.language is None:
        return ""
    mark, block = target.language.line_comment, target.language.block_comment
    first = target.code.lstrip()
    if block and first.startswith(block.open):
        text = first[len(block.open) :].partition(block.close)[0]
        return " ".join(line.strip(" \t*") for line in text.split("\n")).strip()
    said = []
    for line in target.code.split("\n"):
        if not mark or not line.lstrip().startswith(mark):
            break
        said.append(line.strip().removeprefix(mark).strip(" \t" + mark[0]))
    return " ".join(said).strip()

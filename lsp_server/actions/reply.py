"""What of an answer is code, and where it ends."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lsp_server.actions.target import Target, common_indent
from lsp_server.chat.markdown import fenced
from lsp_server.syntax.tree import parse

_BLOCK = re.compile(r"^(`{3,})[^`\n]*\n(.*?)(?:^\1`*[ \t]*$|\Z)", re.M | re.S)


def fence_for(code: str) -> str:
    """A fence that the code cannot close."""
    return fenced(code).partition("\n")[0]


@dataclass
class FenceWatch:
    """A stop rule for an answer that began with a fence: it ends where the fence is closed."""

    fence: str
    said: str = ""

    def __call__(self, new: str) -> bool:
        """Hear the next piece."""
        self.said += new
        return f"\n{self.fence}" in self.said


def code_in(answer: str) -> str:
    """The first block of code in an answer, or all of it when there is no block."""
    block = _BLOCK.search(answer)
    code = block[2] if block else answer
    lines = code.rstrip().split("\n")
    while lines and not lines[0].strip():
        lines.pop(0)
    indent = common_indent(lines)
    return "\n".join(line[len(indent) :].rstrip() for line in lines)


def body_of(code: str, target: Target) -> str:
    """What of the code takes the place of a definition: one, with the first line that it had.

    Imports in front and examples behind, which a model likes to add, are dropped.
    """
    if not target.is_definition or target.language is None:
        return code
    lines, first = code.split("\n"), target.code.split("\n")[0].rstrip()
    if first in lines:
        lines = lines[lines.index(first) :]
    code = "\n".join(lines)
    span = parse(code, target.language).enclosing_definition(len(lines[0]) - 1)
    at_start = span is not None and not code[: span.start].count("\n")
    end = code.find("\n", span.end) if span and at_start else -1
    return code if end < 0 else code[:end].rstrip()

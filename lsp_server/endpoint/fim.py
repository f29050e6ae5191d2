"""A prompt written for some model, taken apart again: what stands before the cursor, what behind it, which file."""

from __future__ import annotations

import re
from typing import NamedTuple

from lsp_server.model.catalogue import Fim, load_catalogue


class Place(NamedTuple):
    """A cursor between two texts. `path`: of the file, where the prompt names it."""

    prefix: str
    suffix: str = ""
    path: str | None = None


def read_prompt(prompt: str) -> Place:
    """Find the cursor in a prompt of any family's format, whichever model is loaded.

    Text without a format is all before the cursor. Other files before the edited one are left out.
    """
    found = ((at, fim) for fim in _formats() if (at := _begin(prompt, fim)) >= 0)
    first = min(found, key=lambda it: it[0], default=None)
    if first is None:
        return Place(prompt)
    at, fim = first
    return _split(prompt[at:], fim)._replace(path=_path(prompt[:at]))


def _formats() -> list[Fim]:
    return [family.fim for family in load_catalogue().families if family.fim]


def _begin(prompt: str, fim: Fim) -> int:
    """Offset of a format's first token, -1 unless all of them are there."""
    offsets = [prompt.find(token) for token in fim.tokens]
    return min(offsets) if min(offsets) >= 0 else -1


def _split(prompt: str, fim: Fim) -> Place:
    """Cut a prompt that begins with the format's first token. What follows its last one stands before the cursor."""
    rest, tail = prompt, ""
    if fim.middle:
        rest, _, tail = prompt.rpartition(fim.middle)
    if rest.startswith(fim.prefix):
        prefix, _, suffix = rest.removeprefix(fim.prefix).partition(fim.suffix)
    else:
        suffix, _, prefix = rest.removeprefix(fim.suffix).partition(fim.prefix)
    return Place(prefix + tail, suffix)


def _path(header: str) -> str | None:
    """Path of the edited file, when a file header ends right before its text."""
    for fim in _formats():
        if fim.file_header:
            pattern = re.escape(fim.file_header).replace(re.escape("{path}"), r"([^\n]+)")
            if match := re.search(rf"{pattern}\Z", header):
                return match[1]
    return None

"""The language of a text whose name nobody tells."""

from __future__ import annotations


def guess_language(text: str) -> str:
    """Return an LSP language identifier, "" when nothing fits."""
    return ""

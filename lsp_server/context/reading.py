"""A file of the workspace as text, if it is one that a person wrote."""

from __future__ import annotations

from pathlib import Path

MAX_FILE_BYTES = 1_000_000
BINARY_PROBE_BYTES = 8000  # a NUL among the first of them: not a text, as git decides it too
MINIFIED_LINE_BYTES = 400  # longer lines on average: made by a program
MINIFIED_FILE_BYTES = 4000


def read_text(file: Path) -> str | None:
    """The text; None for what is binary, minified, too large or unreadable."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError):
        return None
    if len(content) > MAX_FILE_BYTES or b"\0" in content[:BINARY_PROBE_BYTES]:
        return None
    if len(content) > MINIFIED_FILE_BYTES and len(content) > MINIFIED_LINE_BYTES * (content.count(b"\n") + 1):
        return None
    return content.decode("utf-8-sig", "replace")

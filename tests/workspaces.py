"""Sample workspaces, one for each language, and how tests look into them."""

from __future__ import annotations

from pathlib import Path

from lsp_server.context.index import Index
from lsp_server.context.workspace import Workspace

SAMPLES = Path(__file__).parent / "samples"


def indexed(root: Path, **options: object) -> Index:
    """The index of a workspace, made to its end; whoever asks for it stops it."""
    index = Index(root, **options)
    index.start()
    assert index.wait(60)
    return index


def outlines(workspace: Workspace, root: Path) -> str:
    """What all files of a workspace define and import, as text."""
    lines = []
    for file in sorted(path for path in root.rglob("*") if path.is_file()):
        path = file.relative_to(root).as_posix()
        outline = workspace.outline(path)
        if outline is None:
            continue
        lines.append(f"== {path}")
        for found in outline.imports:
            names = ", ".join(there if there == here else f"{there} as {here}" for there, here in found.names)
            lines.append(f"import {found.module}" + (f": {names}" if names else ""))
        for row in outline.definitions:
            name = f"{row.parent}.{row.name}" if row.parent else row.name
            lines.append(f"{row.kind} {name} {row.start + 1}-{row.end}")
            lines += [f"  |{line}" for line in row.skeleton.split("\n")]
    return "\n".join(lines) + "\n"

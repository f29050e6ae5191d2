"""`kruk complete`: one suggestion, at a place written like a compiler's message."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Annotated

import typer

from lsp_server.cli import options
from lsp_server.cli.console import fail, out
from lsp_server.completion.job import Flight
from lsp_server.completion.memory import Memory
from lsp_server.completion.pipeline import complete as run
from lsp_server.completion.request import CompletionRequest
from lsp_server.completion.trace import Trace
from lsp_server.errors import KrukError
from lsp_server.model.loading import loader_for
from lsp_server.model.worker import Worker
from lsp_server.syntax.languages import language_for
from lsp_server.text import Document

_PLACE = re.compile(r"(?P<file>.+):(?P<line>\d+):(?P<column>\d+)")


def complete(
    place: Annotated[str, typer.Argument(metavar="FILE:LINE:COL", help="Lines and columns count from 1.")],
    model: options.Model = "",
    server: options.Server = "",
    allow_non_local: options.AllowNonLocal = False,
    others: options.OtherSettings = "",
    as_json: Annotated[bool, typer.Option("--json", help="The whole trace, for a script.")] = False,
) -> None:
    """Print the suggestion for one place in a file. Ends with 1 when there is none."""
    try:
        document, offset, path = _open(place)
        settings = options.settings_of(options.values_of(model, server, allow_non_local, others))
        worker = Worker(lambda _: None)
        worker.load(loader_for(settings))
        request = CompletionRequest(document, offset, str(path.resolve()), "invoked")
        trace = Trace(1, document.uri, "invoked")
        try:
            text = asyncio.run(run(Flight(request, trace), settings, worker, Memory()))
        finally:
            worker.close()
    except KrukError as error:
        fail(error)
    if as_json:
        out.print_json(json.dumps(trace.as_dict()))
    elif text:
        typer.echo(text)
    else:
        fail(KrukError(f"No suggestion: {trace.reason}"))
    if not text:
        raise typer.Exit(1)


def _open(place: str) -> tuple[Document, int, Path]:
    """Read the file of FILE:LINE:COL and find the place in it."""
    match = _PLACE.fullmatch(place)
    if match is None:
        raise KrukError(f"`{place}` is no place", "Write it as FILE:LINE:COL, for example `main.py:12:5`")
    path = Path(match["file"])
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise KrukError(f"`{path}` cannot be read: {error.strerror}", "Check the path") from error
    except UnicodeDecodeError as error:
        raise KrukError(f"`{path}` is not UTF-8 text", "Convert it, or choose another file") from error
    language = language_for("", str(path))
    document = Document(path.resolve().as_uri(), language.name if language else "", 0, text)
    line, column = int(match["line"]) - 1, int(match["column"]) - 1
    n_lines = len(document.line_starts)
    if not 0 <= line < n_lines:
        raise KrukError(f"`{path}` has {n_lines} lines, not {line + 1}", "Lines count from 1")
    return document, document.offset_at(line, max(column, 0), "utf-32"), path

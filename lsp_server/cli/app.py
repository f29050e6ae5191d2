"""The command line, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from lsp_server import __version__
from lsp_server.cli import ask, complete, demo, doctor, models
from lsp_server.cli.console import fail
from lsp_server.cli.eval import evaluate
from lsp_server.cli.options import OtherSettings, values_of
from lsp_server.cli.serve import serve_endpoint, serve_stdio, serve_tcp
from lsp_server.errors import KrukError

app = typer.Typer(
    help="Kruk: a coder model in your editor, on your own machine.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(models.app, name="models")
app.command("ask")(ask.ask)
app.command("complete")(complete.complete)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("eval")(evaluate)


@app.command()
def serve(
    stdio: Annotated[bool, typer.Option("--stdio", help="Serve on stdin and stdout; so it does anyway.")] = True,
    tcp: Annotated[int | None, typer.Option("--tcp", metavar="PORT", help="Serve on 127.0.0.1 only.")] = None,
    endpoint: Annotated[
        int | None,
        typer.Option(
            "--endpoint", min=0, max=65535, metavar="PORT", help="Only give completions over HTTP, on 127.0.0.1."
        ),
    ] = None,
    model: Annotated[str, typer.Option("--model", metavar="ID|PATH", help="Unless the editor sets one.")] = "",
    others: OtherSettings = "",
) -> None:
    """Run the language server, as an editor does."""
    try:
        options = values_of(model, "", False, others)
        if endpoint is not None:
            serve_endpoint(endpoint, options)
    except KrukError as error:
        fail(error)
    if tcp is not None:
        serve_tcp(tcp, options)
    serve_stdio(options)


def _version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"kruk {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Kruk: a coder model in your editor, on your own machine."""

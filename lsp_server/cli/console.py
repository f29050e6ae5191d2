"""Where the command line writes: results to stdout, everything else to stderr, errors in one form."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from lsp_server.errors import KrukError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def fail(error: KrukError) -> NoReturn:
    """Show what happened and what to do next, and end with exit code 1."""
    err.print(f"[bold red]error:[/] {escape(error.what)}", soft_wrap=True)
    if error.hint:
        err.print(f"[bold]hint:[/] {escape(error.hint)}", soft_wrap=True)
    raise typer.Exit(1)


@contextlib.contextmanager
def all_or_nothing() -> Iterator[None]:
    """End the program where the work in it fails or is stopped by Ctrl-C, and say which; it has left nothing then."""
    try:
        yield
    except KrukError as error:
        fail(error)
    except KeyboardInterrupt:
        err.print("Stopped; nothing was written")
        raise typer.Exit(130) from None

"""Options that several commands have: which model, which server in its place, and any other setting."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeAlias

import typer

from lsp_server import settings as settings_module
from lsp_server.cli.console import err
from lsp_server.errors import KrukError
from lsp_server.settings import Settings

Model: TypeAlias = Annotated[
    str, typer.Option("--model", metavar="ID|PATH", help="Unless `kruk models use` chose it; or one of the server's.")
]
DraftModel: TypeAlias = Annotated[
    str, typer.Option("--draft-model", metavar="ID|PATH", help="A small model that is to draft for it.")
]
Server: TypeAlias = Annotated[
    str, typer.Option("--server", metavar="URL", help="Ask the model of this server, such as http://127.0.0.1:8080.")
]
AllowNonLocal: TypeAlias = Annotated[
    bool, typer.Option("--allow-non-local", help="Let --server be on another machine; text is then sent there.")
]
OtherSettings: TypeAlias = Annotated[
    str, typer.Option("--settings", metavar="JSON", help="Any other settings, as an editor has them.")
]


def values_of(model: str, server: str, allows_non_local: bool, others: str) -> dict[str, Any]:
    """What an editor would send for these options, with dotted names. Raises KrukError."""
    values = json_settings(others) if others else {}
    if server:
        values["remote.url"] = server
    if allows_non_local:
        values["remote.allowNonLocal"] = True
    if model:
        values["remote.model" if values.get("remote.url") else "model"] = model
    return values


def settings_of(values: dict[str, Any]) -> Settings:
    """The settings; says where text is sent, when that is elsewhere."""
    settings = settings_module.read(values).settings
    remote = settings.remote
    if remote.url and remote.allows_non_local:
        from lsp_server.model.remote_http import address_of  # not at the top: importing it loads an HTTP client

        address = address_of(remote.url, allows_non_local=True)
        if not address.is_local:
            what = f"`kruk.remote.allowNonLocal` is on: text is sent to {address.url}"
            err.print(what, style="yellow", markup=False, soft_wrap=True)
    return settings


def json_settings(text: str) -> dict[str, Any]:
    """Settings written as JSON, by dotted names. Raises KrukError when they are not."""
    try:
        values = json.loads(text)
    except ValueError as error:
        hint = """Write them as in `--settings '{"completion.maxTokens": 48}'`"""
        raise KrukError(f"`{text}` is not JSON: {error}", hint) from error
    if problems := settings_module.read(values).problems:
        raise KrukError(problems[0].rstrip("."), "Settings are listed in the README")
    return dict(settings_module.flat(values))

"""workspace/executeCommand: what a user asks for by name."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from lsp_server.capabilities import ACTION_COMMANDS, COMMANDS
from lsp_server.errors import KrukError, nearest
from lsp_server.handlers import actions, chat, status
from lsp_server.handlers.editor import INFO, Editor
from lsp_server.jsonrpc import INVALID_PARAMS, RpcError
from lsp_server.model import registry
from lsp_server.protocol import ExecuteCommandParams, ToggleArguments
from lsp_server.session import Session


async def execute(session: Session, editor: Editor, params: ExecuteCommandParams) -> Any:
    """Run one of our commands. What comes of those run by name is said: few editors show answers and errors."""
    first = params.arguments[0] if params.arguments else None
    if first is None and params.command in (*ACTION_COMMANDS, "kruk.chat"):
        why = f"`{params.command}` needs a place. Choose it there among the code actions."
        editor.message(why)
        return {"applied": False, "reason": why}
    if params.command == "kruk.chat":
        return await chat.send(session, editor, first, params.work_done_token)
    if params.command == "kruk.newChat":
        return await chat.new(session, editor, first)
    if params.command == "kruk.apply":
        return await actions.apply_code(session, editor, first)
    if params.command in ACTION_COMMANDS:
        name = params.command.removeprefix("kruk.")
        return await actions.run(session, editor, name, first, params.work_done_token)
    if params.command == "kruk.status":
        found = status.as_dict(session)
        editor.message(found["message"], INFO)
        return found
    if params.command == "kruk.toggle":
        is_enabled = toggle(session)
        if first is None or msgspec.convert(first, ToggleArguments).show:
            editor.message(f"Completions are switched {'on' if is_enabled else 'off'}", INFO)
        return {"enabled": is_enabled}
    if params.command == "kruk.useModel":
        return await use_model(session, first)
    if params.command == "kruk.accepted":
        session.n_accepted += 1
        return None
    raise RpcError(
        INVALID_PARAMS, f"Unknown command `{params.command}`. {nearest(params.command, COMMANDS)}".rstrip()
    )


def toggle(session: Session) -> bool:
    """Switch completions off, or on again, for this session; says whether they are on."""
    is_enabled = not session.settings.completion.enabled
    session.choose("completion.enabled", is_enabled)
    session.tell("kruk/didChangeStatus", status.as_dict(session))
    return is_enabled


async def use_model(session: Session, name: object) -> dict[str, Any]:
    """Load another model for this session. The one that is loaded stays when the name is wrong."""
    if not isinstance(name, str) or not name.strip():
        raise RpcError(
            INVALID_PARAMS, "kruk.useModel wants one argument: the id of a model, or the path of a GGUF file"
        )
    if session.settings.remote.url:
        raise RpcError(INVALID_PARAMS, "A server runs the model: see `kruk.remote.url` and `kruk.remote.model`")
    try:
        await asyncio.get_running_loop().run_in_executor(None, registry.locate, name.strip())
    except KrukError as error:
        raise RpcError(INVALID_PARAMS, str(error)) from error
    session.choose("model", name.strip())
    session.ensure_model()
    return status.as_dict(session)

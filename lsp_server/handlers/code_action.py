"""textDocument/codeAction and codeAction/resolve: what can be done here. Nothing is asked of the model to list it."""

from __future__ import annotations

from typing import Any

from lsp_server import protocol
from lsp_server.actions.ability import why_not
from lsp_server.actions.action import Action
from lsp_server.actions.languages import habits
from lsp_server.actions.library import BUILT_IN
from lsp_server.actions.target import is_place
from lsp_server.capabilities import LLM_GENERATED, Client
from lsp_server.chat.document import is_chat
from lsp_server.handlers import actions, chat
from lsp_server.handlers.actions import is_secret, known_actions, language_of
from lsp_server.handlers.editor import Editor
from lsp_server.protocol import CodeActionParams, Focus, Range
from lsp_server.session import Session
from lsp_server.syntax.languages import Language
from lsp_server.text import Document


def code_actions(session: Session, client: Client, params: CodeActionParams) -> list[dict[str, Any]]:
    """List the actions for a place, with what each needs to be run later."""
    document = session.documents.get(params.text_document.uri)
    if document is None or is_secret(session, document):
        return []
    chat.look_at(session, Focus(document.uri, params.range, params.context.diagnostics))
    is_chat_wanted = _is_wanted("kruk.chat", params.context.only)
    if is_chat(document):
        return [_chat_action("Send", "kruk.chat", client, document)] if is_chat_wanted else []
    language = language_of(document)
    start, end = (protocol.offset(document, at, client) for at in (params.range.start, params.range.end))
    has_selection = not is_place(document, start, end)
    found = []
    for action in known_actions(session):
        if _is_offered(action, document, language, has_selection, bool(params.context.diagnostics)) and _is_wanted(
            action.kind, params.context.only
        ):
            found.append(_code_action(session, client, action, document, params))
    if is_chat_wanted:
        found.append(_chat_action("Chat about this", "kruk.newChat", client, document, params.range))
    return found


async def resolve(session: Session, editor: Editor, found: Any) -> Any:
    """Make the edit of an action, for clients that cannot be asked to apply one."""
    data = found.get("data") if isinstance(found, dict) else None
    if not isinstance(data, dict):
        return found
    name = str(data.get("command", "")).removeprefix("kruk.")
    outcome = await actions.run(session, editor, name, data.get("argument"), None, applies=False)
    return {**found, "edit": outcome["edit"]} if "edit" in outcome else found


def _is_offered(
    action: Action, document: Document, language: Language | None, has_selection: bool, has_diagnostics: bool
) -> bool:
    if not action.fits(document.language_id, language) or not document.text.strip():
        return False
    known = habits(language)
    return (
        (action.needs != "diagnostics" or has_diagnostics)
        and (action.needs != "instruction" or has_selection)
        and (action.edits != "comment" or known.comment is not None)
        and (action.edits != "tests" or known.tests is not None)
    )


def _is_wanted(kind: str, only: list[str] | None) -> bool:
    return not only or any(not wanted or kind == wanted or kind.startswith(f"{wanted}.") for wanted in only)


def _chat_action(
    title: str, command: str, client: Client, document: Document, place: Range | None = None
) -> dict[str, Any]:
    argument = {"uri": document.uri, "range": place}
    run = {"title": f"Kruk: {title}", "command": command, "arguments": [argument]}
    return {"title": run["title"], "kind": "kruk.chat", "command": run} if client.has_action_literals else run


def _code_action(
    session: Session, client: Client, action: Action, document: Document, params: CodeActionParams
) -> dict[str, Any]:
    is_fix = action.needs == "diagnostics"
    argument: dict[str, Any] = {
        "uri": document.uri,
        "range": params.range,
        "version": document.version,
        "diagnostics": params.context.diagnostics if is_fix else [],
    }
    name = f"kruk.{action.name}"
    if action.name not in BUILT_IN:
        name = "kruk.action"
        argument["action"] = action.name
    title = f"Kruk: {action.title}"
    command = {"title": title, "command": name, "arguments": [argument]}
    if not client.has_action_literals:
        return command
    found: dict[str, Any] = {"title": title, "kind": action.kind}
    if is_fix:
        found["diagnostics"] = params.context.diagnostics
    if client.has_action_tags:
        found["tags"] = [LLM_GENERATED]
    model = session.worker.chat_model
    reason = why_not(model.info if model else None)
    if reason and client.has_disabled_actions:
        return {**found, "disabled": {"reason": reason}}
    if action.edits != "nothing" and client.resolves_edits and not client.applies_edits:
        return {**found, "data": {"command": name, "argument": argument}}
    return {**found, "command": command}

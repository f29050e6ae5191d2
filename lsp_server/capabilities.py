"""What the editor can do, and what it is told that Kruk can. Read and said once, at `initialize`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lsp_server import __version__
from lsp_server.actions.library import BUILT_IN
from lsp_server.text import Encoding

ACTION_COMMANDS = (*(f"kruk.{name}" for name in BUILT_IN), "kruk.action")
COMMANDS = (
    *ACTION_COMMANDS, "kruk.apply", "kruk.chat", "kruk.newChat", "kruk.status", "kruk.toggle", "kruk.useModel",
    "kruk.accepted",
)  # fmt: skip
ACTION_KINDS = ("quickfix", "refactor.rewrite", "kruk")
LLM_GENERATED = 1  # CodeActionTag


@dataclass(frozen=True)
class Client:
    """What the editor can do, read once at `initialize`."""

    encoding: Encoding = "utf-16"
    has_inline_completion: bool = False
    pulls_configuration: bool = False
    registers_configuration: bool = False
    has_markdown_documentation: bool = False
    has_as_is_insertion: bool = False
    registers_watchers: bool = False
    has_action_literals: bool = False
    has_disabled_actions: bool = False
    has_action_tags: bool = False
    resolves_edits: bool = False
    applies_edits: bool = False
    has_document_changes: bool = False
    creates_files: bool = False
    has_change_annotations: bool = False
    shows_documents: bool = False
    creates_progress: bool = False


def read_client(capabilities: dict[str, Any]) -> Client:
    """Read a client's capabilities; anything that is missing or of the wrong shape counts as no."""

    def get(*names: str) -> Any:
        value: Any = capabilities
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    offered = get("general", "positionEncodings") or []
    encoding: Encoding = next((name for name in offered if name in ("utf-8", "utf-16", "utf-32")), "utf-16")
    modes = get("textDocument", "completion", "completionItem", "insertTextModeSupport", "valueSet") or []
    formats = get("textDocument", "completion", "completionItem", "documentationFormat") or []
    texts = get("textDocument")
    return Client(
        encoding=encoding,
        has_inline_completion=isinstance(texts, dict) and "inlineCompletion" in texts,  # lsp-mode says null for yes
        pulls_configuration=bool(get("workspace", "configuration")),
        registers_configuration=bool(get("workspace", "didChangeConfiguration", "dynamicRegistration")),
        has_markdown_documentation="markdown" in formats,
        has_as_is_insertion=1 in modes,
        has_action_literals=get("textDocument", "codeAction", "codeActionLiteralSupport") is not None,
        has_disabled_actions=bool(get("textDocument", "codeAction", "disabledSupport")),
        has_action_tags=LLM_GENERATED in (get("textDocument", "codeAction", "tagSupport", "valueSet") or []),
        resolves_edits="edit" in (get("textDocument", "codeAction", "resolveSupport", "properties") or [])
        and bool(get("textDocument", "codeAction", "dataSupport")),
        applies_edits=bool(get("workspace", "applyEdit")),
        has_document_changes=bool(get("workspace", "workspaceEdit", "documentChanges")),
        creates_files="create" in (get("workspace", "workspaceEdit", "resourceOperations") or []),
        has_change_annotations=get("workspace", "workspaceEdit", "changeAnnotationSupport") is not None,
        shows_documents=bool(get("window", "showDocument", "support")),
        creates_progress=bool(get("window", "workDoneProgress")),
        registers_watchers=bool(get("workspace", "didChangeWatchedFiles", "dynamicRegistration")),
    )


def initialize_result(client: Client) -> dict[str, Any]:
    """Say what the server can do. Inline completion is offered to all, since one may ask without declaring it."""
    capabilities: dict[str, Any] = {
        "positionEncoding": client.encoding,
        "textDocumentSync": {"openClose": True, "change": 2, "save": {"includeText": False}},
        "inlineCompletionProvider": {},
        "workspace": {"workspaceFolders": {"supported": True, "changeNotifications": True}},
        "codeActionProvider": {
            "codeActionKinds": list(ACTION_KINDS),
            "resolveProvider": client.resolves_edits and not client.applies_edits,
        },
        "executeCommandProvider": {"commands": list(COMMANDS), "workDoneProgress": True},
    }
    if not client.has_inline_completion:
        capabilities["completionProvider"] = {"triggerCharacters": [".", "(", "=", " ", ":", ">"]}
    return {"capabilities": capabilities, "serverInfo": {"name": "kruk", "version": __version__}}

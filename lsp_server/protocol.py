"""LSP's types, as far as Kruk uses them, and their conversion to our own. LSP types stop here.

Source: Language Server Protocol 3.18. Fields that we do not read are not declared; unknown ones are ignored.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from lsp_server.actions.changes import Change
from lsp_server.capabilities import Client
from lsp_server.text import Document, Edit

_WORD_END = re.compile(r"\w*\Z")

INVOKED, AUTOMATIC = 1, 2  # InlineCompletionTriggerKind

WRITTEN_BY = "Written by a model: please read it"


class Lsp(msgspec.Struct, rename="camel", frozen=True):
    """Base of LSP's structures: camelCase on the wire."""


class Position(Lsp, frozen=True):
    line: int
    character: int


class Range(Lsp, frozen=True):
    start: Position
    end: Position


class TextDocumentIdentifier(Lsp, frozen=True):
    uri: str


class VersionedTextDocumentIdentifier(Lsp, frozen=True):
    uri: str
    version: int | None = None


class TextDocumentItem(Lsp, frozen=True):
    uri: str
    language_id: str
    version: int
    text: str


class DidOpenParams(Lsp, frozen=True):
    text_document: TextDocumentItem


class FileEvent(Lsp, frozen=True):
    uri: str


class DidChangeWatchedFilesParams(Lsp, frozen=True):
    changes: list[FileEvent]


class DidMoveCursorParams(Lsp, frozen=True):
    """`kruk/didMoveCursor`, from editors that say so: somebody may soon type there."""

    text_document: TextDocumentIdentifier
    position: Position


class ContentChange(Lsp, frozen=True):
    text: str
    range: Range | None = None


class DidChangeParams(Lsp, frozen=True):
    text_document: VersionedTextDocumentIdentifier
    content_changes: list[ContentChange]


class DocumentParams(Lsp, frozen=True):
    """didClose, didSave and whatever else names a document only."""

    text_document: TextDocumentIdentifier


class SelectedCompletionInfo(Lsp, frozen=True):
    range: Range
    text: str


class InlineCompletionContext(Lsp, frozen=True):
    trigger_kind: int = AUTOMATIC
    selected_completion_info: SelectedCompletionInfo | None = None


class InlineCompletionParams(Lsp, frozen=True):
    text_document: TextDocumentIdentifier
    position: Position
    context: InlineCompletionContext = InlineCompletionContext()


class CompletionParams(Lsp, frozen=True):
    text_document: TextDocumentIdentifier
    position: Position


class InitializeParams(Lsp, frozen=True):
    process_id: int | None = None
    root_uri: str | None = None
    capabilities: dict[str, Any] = {}
    initialization_options: Any = None
    workspace_folders: list[WorkspaceFolder] | None = None


class WorkspaceFolder(Lsp, frozen=True):
    uri: str


class WorkspaceFoldersChange(Lsp, frozen=True):
    added: list[WorkspaceFolder] = []
    removed: list[WorkspaceFolder] = []


class DidChangeWorkspaceFoldersParams(Lsp, frozen=True):
    event: WorkspaceFoldersChange


class DidChangeConfigurationParams(Lsp, frozen=True):
    settings: Any = None


class ExecuteCommandParams(Lsp, frozen=True):
    command: str
    arguments: list[Any] = []
    work_done_token: int | str | None = None


class Diagnostic(Lsp, frozen=True):
    """A problem that some server has found."""

    range: Range
    message: Any  # text, or MarkupContent
    source: str | None = None

    @property
    def text(self) -> str:
        """What it says."""
        return str(self.message.get("value", "") if isinstance(self.message, dict) else self.message)


class CodeActionContext(Lsp, frozen=True):
    diagnostics: list[Any] = []  # as the client sent them: they are sent back
    only: list[str] | None = None


class CodeActionParams(Lsp, frozen=True):
    text_document: TextDocumentIdentifier
    range: Range
    context: CodeActionContext = CodeActionContext()


class ActionArguments(Lsp, frozen=True):
    """The one argument of the commands that run an action.

    Attributes:
        range: Without one, the whole document; an empty one is the definition around it.
        version: Of the document that the range is in; it must still be that one. None: any.
        diagnostics: The problems to fix.
        instruction: What the user wants, in words.
        action: Name of the action, for `kruk.action`.
        show: Whether an explanation is shown; false for a client that shows what it hears on its `workDoneToken`.
    """

    uri: str
    range: Range | None = None
    version: int | None = None
    diagnostics: list[Any] = []
    instruction: str = ""
    action: str = ""
    show: bool = True


class ToggleArguments(Lsp, frozen=True):
    """The argument of `kruk.toggle`. `show`: false for a client that shows `kruk/didChangeStatus`."""

    show: bool = True


class CancelProgressParams(Lsp, frozen=True):
    token: int | str


class ChatMessage(Lsp, frozen=True):
    role: str
    content: str


class Focus(Lsp, frozen=True):
    """What the user looks at: a selection, and the diagnostics there, as their server sent them."""

    uri: str
    range: Range
    diagnostics: list[Any] = []


class ChatParams(Lsp, frozen=True):
    """`kruk/chat`: a conversation, oldest message first. The answer streams on `workDoneToken`.

    `conversation_id` tells conversations apart that begin alike. `focus`: for `@selection` and `@diagnostics`.
    """

    messages: list[ChatMessage]
    conversation_id: str = ""
    focus: Focus | None = None
    work_done_token: int | str | None = None


class ApplyArguments(Lsp, frozen=True):
    """The argument of `kruk.apply`: code, and where the user is."""

    uri: str
    range: Range
    code: str


class CountTokensParams(Lsp, frozen=True):
    text: str


class ChatArguments(Lsp, frozen=True):
    """The argument of `kruk.chat`, which answers a chat document, and `kruk.newChat`, which may mention a place."""

    uri: str = ""
    range: Range | None = None


def edits(changes: Sequence[ContentChange]) -> list[Edit]:
    """Our edits for a client's changes."""
    return [
        Edit(None, None, change.text)
        if change.range is None
        else Edit(
            (change.range.start.line, change.range.start.character),
            (change.range.end.line, change.range.end.character),
            change.text,
        )
        for change in changes
    ]


def offset(document: Document, position: Position, client: Client) -> int:
    """Offset of a client's position, moved to the nearest one that exists."""
    return document.offset_at(position.line, position.character, client.encoding)


def lsp_range(document: Document, start: int, end: int, client: Client) -> dict[str, Any]:
    """LSP range between two offsets."""
    (line, column), (end_line, end_column) = (
        document.position_at(start, client.encoding),
        document.position_at(end, client.encoding),
    )
    return {
        "start": {"line": line, "character": column},
        "end": {"line": end_line, "character": end_column},
    }


def inline_completion_list(
    document: Document, start: int, end: int, texts: Sequence[str], number: int, client: Client
) -> dict[str, Any]:
    """Suggestions as an InlineCompletionList. The range is explicit: VS Code would replace the word without."""
    accepted = {"title": "Suggestion accepted", "command": "kruk.accepted", "arguments": [{"id": number}]}
    shared = {"range": lsp_range(document, start, end, client), "command": accepted}
    return {"items": [{"insertText": text, **shared} for text in texts]}


def completion_list(document: Document, at: int, text: str, client: Client) -> dict[str, Any]:
    """The suggestion as an ordinary completion item, for clients without inline completion."""
    line_start = document.line_starts[document.line_of(at)]
    word = _WORD_END.search(document.text[line_start:at])[0]  # type: ignore[index]  # matches the empty text
    whole = word + text
    first_line = whole.strip().split("\n", 1)[0].rstrip("\r")
    item: dict[str, Any] = {
        "label": first_line[:80] or "…",
        "kind": 1,  # text; Helix reads what is called a snippet as one, with its `$` and its own indentation
        "detail": "Kruk",
        "documentation": {"kind": "markdown", "value": f"```{document.language_id}\n{whole}\n```"}
        if client.has_markdown_documentation
        else whole,
        "sortText": "\u0001",
        "preselect": True,  # in Helix it puts the item first, though Helix does not declare to know it
        "filterText": first_line,  # not the word alone: what is typed on would hide the item
        "insertText": whole,  # for JupyterLab, which knows no textEdit
        "insertTextFormat": 1,
        "textEdit": {"range": lsp_range(document, at - len(word), at, client), "newText": whole},
    }
    if client.has_as_is_insertion:
        item["insertTextMode"] = 1
    return {"isIncomplete": True, "items": [item]}


def workspace_edit(
    document: Document, changes: Sequence[Change], client: Client, label: str, note: str = "", is_open: bool = True
) -> dict[str, Any]:
    """Changes of one document in the version that they were made for. A file that is not open has none."""
    edits = [
        {"range": lsp_range(document, change.start, change.end, client), "newText": change.text} for change in changes
    ]
    return _edit_of(document.uri, document.version if is_open else None, edits, client, label, note)


def file_edit(uri: str, text: str, client: Client, label: str) -> dict[str, Any]:
    """A new file with this text."""
    start = {"line": 0, "character": 0}
    edit = _edit_of(uri, None, [{"range": {"start": start, "end": start}, "newText": text}], client, label)
    if client.creates_files and "documentChanges" in edit:
        edit["documentChanges"].insert(0, {"kind": "create", "uri": uri, "options": {"ignoreIfExists": True}})
    return edit


def _edit_of(
    uri: str, version: int | None, edits: list[dict[str, Any]], client: Client, label: str, note: str = ""
) -> dict[str, Any]:
    if not client.has_document_changes:
        return {"changes": {uri: edits}}
    edit: dict[str, Any] = {}
    if client.has_change_annotations:
        edits = [{**edit, "annotationId": "kruk"} for edit in edits]
        edit["changeAnnotations"] = {"kruk": {"label": label, "description": note or WRITTEN_BY}}
    edit["documentChanges"] = [{"textDocument": {"uri": uri, "version": version}, "edits": edits}]
    return edit


def path_of(uri: str) -> Path | None:
    """Path of a file URI, of Windows or of Unix; None for any other scheme."""
    parts = urlsplit(uri)
    if parts.scheme != "file":
        return None
    path = unquote(parts.path)
    if len(path) > 2 and path[0] == "/" and path[2] == ":":  # file:///c:/x
        path = path[1:]
    elif parts.netloc and os.name == "nt":
        path = f"//{parts.netloc}{path}"
    return Path(path)


def home_of(uri: str, roots: Sequence[str]) -> tuple[str | None, str | None]:
    """The workspace folder that a file URI lies in, and its path there; (None, its whole path) outside of all."""
    path = path_of(uri)
    if path is None:
        return None, None
    for root in roots:
        folder = path_of(root)
        if folder and path.is_relative_to(folder):
            return root, path.relative_to(folder).as_posix()
    return None, str(path)

"""Running an action: from the command's argument to an edit in the editor, or an explanation on the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from lsp_server import protocol
from lsp_server.actions.ability import why_not
from lsp_server.actions.action import Action
from lsp_server.actions.changes import Change, changes_of_all
from lsp_server.actions.document import document as write_comment
from lsp_server.actions.edit import edit as write_code
from lsp_server.actions.explain import explain
from lsp_server.actions.library import actions
from lsp_server.actions.put import put
from lsp_server.actions.target import Target, definition_around, line_text, target_around, target_of
from lsp_server.actions.testing import test_file, write_tests
from lsp_server.actions.words import instruction_in, values
from lsp_server.chat.markdown import harmless
from lsp_server.completion.refusal import excluded
from lsp_server.errors import KrukError, nearest
from lsp_server.handlers.editor import INFO, Editor
from lsp_server.handlers.explanation import Explanation
from lsp_server.handlers.stream import Stream
from lsp_server.jsonrpc import INVALID_PARAMS, RpcError
from lsp_server.model.worker import Urgency
from lsp_server.protocol import ActionArguments, ApplyArguments, Diagnostic
from lsp_server.session import Session
from lsp_server.syntax.languages import Language, language_for
from lsp_server.text import Document

MAX_FILE_BYTES = 1_000_000  # of a file that is read beside the document


async def run(
    session: Session, editor: Editor, name: str, argument: object, token: int | str | None, applies: bool = True
) -> dict[str, Any]:
    """Run an action by its name; the answer says what came of it, and the user is told when nothing did.

    applies: whether edits are applied; if not, they are in the answer.
    """
    wanted = msgspec.convert(argument if argument is not None else {}, ActionArguments)
    document = session.documents.get(wanted.uri)
    if document is None:
        raise RpcError(INVALID_PARAMS, f"`{wanted.uri}` is not open. Open the file in the editor first.")
    known = {action.name: action for action in known_actions(session)}
    name = wanted.action or name
    action = known.get(name)
    if action is None:
        raise RpcError(INVALID_PARAMS, f"There is no action `{name}`. {nearest(name, known)}".rstrip())
    try:
        return await _Run(session, editor, action, document, wanted, token, applies).run()
    except KrukError as error:
        why = str(error)
    except asyncio.CancelledError:
        if not editor.was_cancelled():
            raise
        return {"applied": False, "reason": "It was cancelled."}
    editor.message(f"{action.title}: {why}")
    return {"applied": False, "reason": why}


async def apply_code(session: Session, editor: Editor, argument: object) -> dict[str, Any]:
    """`kruk.apply`: put code where it belongs in a document; the answer says how many of its lines had no place."""
    wanted = msgspec.convert(argument if argument is not None else {}, ApplyArguments)
    document = session.documents.get(wanted.uri)
    if document is None:
        raise RpcError(INVALID_PARAMS, f"`{wanted.uri}` is not open. Open the file in the editor first.")
    start, end = (protocol.offset(document, at, editor.client) for at in (wanted.range.start, wanted.range.end))
    try:
        found = put(document, language_of(document), min(start, end), max(start, end), wanted.code)
        await editor.apply(
            protocol.workspace_edit(document, found.changes, editor.client, "Kruk: Apply"), "Kruk: Apply"
        )
    except KrukError as error:
        raise RpcError(INVALID_PARAMS, str(error)) from error
    return {"applied": True, "leftOut": found.n_left_out}


def known_actions(session: Session) -> list[Action]:
    """All actions that there are for this workspace."""
    return actions(filter(None, map(protocol.path_of, session.roots)))


def language_of(document: Document) -> Language | None:
    """The language of a document, if Kruk can read it."""
    path = protocol.path_of(document.uri)
    return language_for(document.language_id, str(path) if path else None)


def is_secret(session: Session, document: Document) -> bool:
    """Whether the settings exclude the document from everything."""
    _, path = protocol.home_of(document.uri, session.roots)
    return bool(path and excluded(path, session.settings.completion.exclude_globs))


@dataclass
class _Run:
    """One run of an action."""

    session: Session
    editor: Editor
    action: Action
    document: Document
    wanted: ActionArguments
    token: int | str | None
    applies: bool

    async def run(self) -> dict[str, Any]:
        model = self.session.worker.chat_model
        if why := why_not(model.info if model else None):
            raise KrukError(why.rstrip("."))
        if is_secret(self.session, self.document):
            raise KrukError("This file is excluded", "See `kruk.completion.excludeGlobs`.")
        if self.wanted.version not in (None, self.document.version):
            raise _moved()
        refused, self.session.refused_edit = self.session.refused_edit, None
        if refused and refused[0] == self._made_for:
            return await self._apply(refused[1])
        target, problems = self._target()
        words = self._words(target, problems)
        if self.action.edits == "nothing":
            return await self._explain(words, target)
        if self.action.edits == "tests":
            return await self._test(words, target)
        states = self.session.conversations.states
        if self.action.edits == "comment":
            outcome = await self._work(lambda stream: write_comment(target, words, states, stream.hear))
        else:
            outcome = await self._work(lambda stream: write_code(self.action, target, words, states, stream.hear))
        if outcome.refusal:
            raise KrukError(outcome.refusal.rstrip("."))
        answer = {"tokens": outcome.count.n_tokens, "single": outcome.count.n_single}
        return await self._change(self.document, list(outcome.changes), outcome.note) | answer

    # -- what is asked ------------------------------------------------------------------------------------

    def _target(self) -> tuple[Target, list[tuple[str, str]]]:
        """The code, and each problem in it: the line that has it, and what it says."""
        client, document, wanted = self.editor.client, self.document, self.wanted
        language = language_of(document)
        diagnostics = [msgspec.convert(found, Diagnostic) for found in wanted.diagnostics]
        spans = [
            (protocol.offset(document, it.range.start, client), protocol.offset(document, it.range.end, client))
            for it in diagnostics
        ]
        problems = [
            (line_text(document, document.line_of(start)).strip(), it.text)
            for (start, _), it in zip(spans, diagnostics, strict=True)
        ]
        if spans:
            return target_around(document, language, min(spans)[0], max(end for _, end in spans)), problems
        if wanted.range is None:
            return target_of(document, language, 0, len(document.text)), problems
        start, end = (protocol.offset(document, at, client) for at in (wanted.range.start, wanted.range.end))
        target = target_of(document, language, start, max(start, end))
        # Only a definition can be documented, and Kate selects the cursor's line.
        return definition_around(target) if self.action.edits == "comment" else target, problems

    def _words(self, target: Target, problems: list[tuple[str, str]]) -> str:
        instruction = self.wanted.instruction.strip()
        if self.action.needs == "instruction" and not instruction:
            instruction = instruction_in(target)
            if not instruction:
                raise KrukError(
                    "It has not been said what to change",
                    "Write it into a comment at the selection's start, or give `kruk.edit` an `instruction`.",
                )
        language = self.session.settings.answer_language
        return self.action.filled(values(self.action, target, problems, instruction, language, self._path()))

    def _path(self) -> Path | None:
        return protocol.path_of(self.document.uri)

    # -- what is answered ---------------------------------------------------------------------------------

    async def _explain(self, words: str, target: Target) -> dict[str, Any]:
        path = self._path()
        place = target.name or (path.name if path else "this code")
        explanation = Explanation(self.editor, f"{self.action.title}: {place}")
        has_token = self.token is not None

        def hear(text: str) -> None:
            explanation.hear(text)
            if text:
                stream.report(text if has_token else f"{explanation.n_words} words")

        if self.wanted.show:
            await explanation.open()
        try:
            async with self.editor.progress(self.token, f"Kruk: {self.action.title}", hear) as stream:
                generation = await self._job(explain(words, self.session.conversations.states, stream.hear))
            await explanation.end(has_token or not self.wanted.show)
        except BaseException:
            explanation.drop()
            raise
        return {
            "text": harmless(generation.text).strip(),
            "name": target.name,
            "code": target.code,
            "language": target.language.name if target.language else "",
            "endedBy": generation.ended_by,
            "tokens": generation.n_tokens,
        }

    async def _test(self, words: str, target: Target) -> dict[str, Any]:
        path = self._path()
        if path is None:
            raise KrukError("This document is no file yet", "Save it first.")
        root, _ = protocol.home_of(self.document.uri, self.session.roots)
        file = test_file(target, path, protocol.path_of(root) if root else None, self._read)
        outcome = await self._work(
            lambda stream: write_tests(target, file, words, self.session.conversations.states, stream.hear)
        )
        if outcome.refusal:
            raise KrukError(outcome.refusal.rstrip("."))
        label = f"Kruk: {self.action.title}"
        answer = {"file": file.path.as_uri(), "text": outcome.text}
        if self._read(file.path) != file.text:
            raise _moved(f"`{file.path.name}`")
        if file.text is None:
            edit = protocol.file_edit(file.path.as_uri(), outcome.text, self.editor.client, label)
            applied = await self._apply(edit)
        else:
            open_one = self._open_at(file.path)
            there = open_one or Document(file.path.as_uri(), self.document.language_id, 0, file.text)
            applied = await self._change(there, changes_of_all(there, outcome.text), is_open=open_one is not None)
        if self.applies and not await self.editor.show(file.path.as_uri()):
            self.editor.message(f"The tests are in `{file.path}`.", INFO)
        return answer | applied

    def _read(self, path: Path) -> str | None:
        """A file's text, as it is in the editor or else on disk; None when there is no such file."""
        if document := self._open_at(path):
            return document.text
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise KrukError(f"`{path}` has more than {MAX_FILE_BYTES:,} bytes", "Open it in the editor first.")
            return path.read_bytes().decode("utf-8-sig")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise KrukError(f"`{path}` cannot be read: {error}", "Open it in the editor first.") from error

    def _open_at(self, path: Path) -> Document | None:
        documents = self.session.documents.values()
        return next((document for document in documents if protocol.path_of(document.uri) == path), None)

    async def _work(self, make: Callable[[Stream], Any]) -> Any:
        """Let the model work on an edit, with progress in lines."""
        n_lines = 0

        def hear(text: str) -> None:
            nonlocal n_lines
            n_lines += text.count("\n")
            stream.report(f"{n_lines} lines")

        async with self.editor.progress(self.token, f"Kruk: {self.action.title}", hear) as stream:
            return await self._job(make(stream))

    async def _job(self, work: Any) -> Any:
        job: Future[Any] = self.session.worker.submit(Urgency.CHAT, work)
        return await asyncio.wrap_future(job)

    async def _change(
        self, document: Document, changes: list[Change], note: str = "", is_open: bool = True
    ) -> dict[str, Any]:
        """Change a document, if it is still as it was."""
        if is_open and self.session.documents.get(document.uri) is not document:
            raise _moved()
        label = f"Kruk: {self.action.title}"
        edit = protocol.workspace_edit(document, changes, self.editor.client, label, note, is_open)
        try:
            return await self._apply(edit)
        except KrukError:
            # Kate takes edits for two seconds after a command: when that is run again, this one is ready.
            if document is self.document:
                self.session.refused_edit = self._made_for, edit
            raise

    @property
    def _made_for(self) -> object:
        return self.action, self.wanted, self.document

    async def _apply(self, edit: dict[str, Any]) -> dict[str, Any]:
        if not self.applies:
            return {"applied": False, "edit": edit}
        await self.editor.apply(edit, f"Kruk: {self.action.title}")
        return {"applied": True}


def _moved(what: str = "The document") -> KrukError:
    return KrukError(f"{what} has been changed meanwhile", "Run the action again.")

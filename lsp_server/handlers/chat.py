"""Conversations: `kruk/chat` for clients that know it, and documents that are answered in place for all others."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lsp_server import protocol
from lsp_server.chat import document as chat_document
from lsp_server.chat.answer import answer, note_of
from lsp_server.chat.conversation import Prompted, Turn
from lsp_server.chat.excerpt import Excerpt
from lsp_server.chat.markdown import harmless
from lsp_server.chat.mentions import Folder, Sources, resolve
from lsp_server.completion.refusal import excluded
from lsp_server.context.workspace import Workspace
from lsp_server.errors import KrukError
from lsp_server.handlers.editor import Editor
from lsp_server.handlers.tail import Tail
from lsp_server.jsonrpc import INVALID_PARAMS, RpcError
from lsp_server.model.base import Model
from lsp_server.model.worker import Steps, Urgency
from lsp_server.paths import data_dir
from lsp_server.protocol import ChatArguments, ChatParams, CountTokensParams, Focus, Range
from lsp_server.session import Session
from lsp_server.syntax.languages import language_for
from lsp_server.text import Document, unix

_SEVERITIES = {1: "error", 2: "warning", 3: "information", 4: "hint"}

_kept: set[asyncio.Task[None]] = set()


async def chat(session: Session, editor: Editor, params: ChatParams) -> dict[str, Any]:
    """Answer a conversation; the text streams as `$/progress` and is returned whole."""
    turns = [Turn(message.role, message.content) for message in params.messages]
    if not turns or turns[-1].role != "user" or not turns[-1].text.strip():
        raise RpcError(INVALID_PARAMS, "There is no question: the last message must be the user's, and not empty")
    if wrong := [turn.role for turn in turns if turn.role not in ("system", "user", "assistant")]:
        raise RpcError(INVALID_PARAMS, f"`{wrong[0]}` is no role. There is `system`, `user` and `assistant`.")
    name = params.conversation_id or next(turn.text for turn in turns if turn.role == "user")
    has_token = params.work_done_token is not None  # otherwise its progress has a way to cancel, and no text
    async with editor.progress(params.work_done_token, "Chat", None if has_token else _ignore) as stream:

        def note(text: str) -> None:
            if has_token:
                stream.report(f"{harmless(text)}\n\n")

        try:
            return await _answer(session, name, turns, params.focus, note, stream.hear)
        except KrukError as error:
            raise RpcError(INVALID_PARAMS, str(error)) from error


async def send(session: Session, editor: Editor, argument: object, token: int | str | None) -> dict[str, Any] | None:
    """`kruk.chat`: answer the last question of a chat document, at its end. What is cancelled is taken back.

    None when it was cancelled or failed, of which the user is told, and when the editor tells of no change before it
    has this command's answer.
    """
    uri = msgspec.convert(argument or {}, ChatArguments).uri
    document, answering = session.documents.get(uri), session.conversations.answering
    if document is None:
        raise RpcError(INVALID_PARAMS, f"`{uri}` is not open. Open the chat in the editor first.")
    if uri in answering:
        editor.message("This chat is being answered. Wait for it, or cancel it first.")
        return None
    turns = chat_document.turns(document.text)
    if turns[-1].role != "user" or not turns[-1].text:
        editor.message(f"There is no question yet. Write it below `{chat_document.YOU}`, then send.")
        return None
    tail = Tail(session, editor, uri)
    tail.write(chat_document.opening(document.text))
    answering.add(uri)
    work = asyncio.ensure_future(_send(session, editor, uri, turns, tail, token))
    work.add_done_callback(lambda _: answering.discard(uri))
    still = asyncio.ensure_future(tail.stands_still.wait())
    try:
        await asyncio.wait({work, still}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        work.cancel()
        raise
    finally:
        still.cancel()
    return work.result() if work.done() else None


async def _send(
    session: Session, editor: Editor, uri: str, turns: list[Turn], tail: Tail, token: int | str | None
) -> dict[str, Any] | None:
    breaks = ""

    def say(text: str) -> None:
        nonlocal breaks
        said = (breaks + text).rstrip("\n")
        breaks = (breaks + text)[len(said) :]  # those at the end of the answer are not written
        tail.write(said)

    tail.on_failure(asyncio.current_task())
    try:
        async with editor.progress(token, "Chat", say) as stream:

            def note(text: str) -> None:
                tail.write(f"{chat_document.NOTE}{harmless(text)}\n\n")

            result = await _answer(session, uri, turns, None, note, stream.hear)
        tail.write(f"\n\n{chat_document.YOU}\n\n")
        await tail.end()
    except BaseException as error:
        if tail.failure:
            editor.message(str(tail.failure))
            return None
        _keep(asyncio.ensure_future(tail.take_back()))  # behind the answer that it was cancelled
        if isinstance(error, KrukError):
            editor.message(str(error))
            return None
        if isinstance(error, asyncio.CancelledError) and editor.was_cancelled():
            return None
        raise
    return result


async def new(session: Session, editor: Editor, argument: object) -> dict[str, Any]:
    """`kruk.newChat`: make a chat document and show it. With a place, the question begins with a mention of it."""
    place = msgspec.convert(argument or {}, ChatArguments)
    text = chat_document.NEW
    if place.uri and (home := protocol.home_of(place.uri, session.roots)[1]):
        name = f'"{home}"' if " " in home else home
        lines = f":{_first_and_last(place.range)}" if place.range else ""
        text += f"@file:{name}{lines} "
    now = datetime.datetime.now().astimezone()
    try:
        path = _new_file(data_dir() / "chats", f"{now:%Y-%m-%d %H%M%S}", text)
    except OSError as error:
        raise RpcError(INVALID_PARAMS, f"No chat can be made in `{data_dir()}`: {error.strerror}") from error
    chat = Document(path.as_uri(), "markdown", 0, text)
    end = protocol.lsp_range(chat, len(text), len(text), editor.client)  # where the question is written
    is_shown = await editor.show(chat.uri, takes_focus=True, selection=end)
    if not is_shown:
        editor.message(f"The chat is `{path}`. Open it, write, and run the code action Send.", 3)
    return {"uri": path.as_uri(), "path": str(path), "isShown": is_shown}


async def count_tokens(session: Session, params: CountTokensParams) -> dict[str, int]:
    """`kruk/countTokens`: how many tokens of the model a text has."""

    def count(model: Model) -> Steps[int]:
        yield  # a job is a generator
        return len(model.tokenize(params.text))

    return {"tokens": await asyncio.wrap_future(session.worker.submit(Urgency.CHAT, count))}


def look_at(session: Session, focus: Focus) -> None:
    """Hear what the user looks at in a file, for `@selection` and `@diagnostics` in chat documents."""
    document = session.documents.get(focus.uri)
    if document and not chat_document.is_chat(document):
        if focus.range.start != focus.range.end:
            session.conversations.selection = focus
        if focus.diagnostics:
            session.conversations.diagnosed = focus


async def _answer(
    session: Session,
    name: str,
    turns: Sequence[Turn],
    focus: Focus | None,
    on_note: Callable[[str], None],
    on_text: Callable[[str], None],
) -> dict[str, Any]:
    """Look up what the newest question mentions, have it answered, and say what the model saw. Raises KrukError."""
    sources = _sources(session, focus)
    resolved = await asyncio.to_thread(resolve, turns[-1].text, sources)
    turns = [*turns[:-1], Turn("user", turns[-1].text, tuple(resolved.excerpts))]
    loop = asyncio.get_running_loop()

    def tell(prompted: Prompted) -> None:
        if note := note_of(prompted, resolved.problems):
            loop.call_soon_threadsafe(on_note, note)

    settings, conversations = session.settings, session.conversations
    budget = settings.context_budget_tokens
    is_shared = settings.completion.enabled and not session.has_chat_model
    needed = budget + budget // 2 + settings.completion.max_tokens if is_shared else 0
    work = answer(
        conversations.of(name),
        turns,
        conversations.states,
        answer_language=settings.answer_language,
        n_reserved=needed,
        on_prompt=tell,
        on_text=on_text,
    )
    answered = await asyncio.wrap_future(session.worker.submit(Urgency.CHAT, work))
    return {**answered.as_dict(resolved.problems), "text": harmless(answered.text)}


def _first_and_last(lines: Range) -> str:
    """The lines of a range as a mention names them; one that ends at a line's beginning is without that line."""
    last = lines.end.line - (lines.end.character == 0 and lines.end.line > lines.start.line)
    return f"{lines.start.line + 1}-{last + 1}"


def _ignore(_text: str) -> None:
    """Show nothing."""


def _keep(task: asyncio.Task[None]) -> None:
    """Hold on to a task that nobody waits for."""
    _kept.add(task)
    task.add_done_callback(_kept.discard)


def _new_file(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for n in range(1, 100):
        path = folder / (f"{name}.md" if n == 1 else f"{name} {n}.md")
        try:
            with path.open("x", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(17, "there are too many already")


# -- what may be mentioned --------------------------------------------------------------------------------


def _sources(session: Session, focus: Focus | None) -> Sources:
    conversations, globs = session.conversations, session.settings.completion.exclude_globs
    return Sources(
        _folders(session),
        globs,
        _told(session, focus or conversations.selection, _selected, "nothing is selected in a file"),
        _told(session, focus or conversations.diagnosed, _diagnostics, "the editor has told of no diagnostics"),
    )


def _folders(session: Session) -> list[Folder]:
    """The workspace folders, with their index where there is one."""
    folders = []
    for root in session.roots:
        if path := protocol.path_of(root):
            project = session.memory.projects.of(root)
            places = ((protocol.home_of(uri, [root]), document) for uri, document in session.documents.items())
            documents = {place[1]: document for place, document in places if place[0] and place[1]}
            folders.append(Folder(path, Workspace(project.index if project else None, documents)))
    return folders


def _told(
    session: Session, focus: Focus | None, excerpt: Callable[[str, Document, Focus], Excerpt | None], otherwise: str
) -> Excerpt | str:
    """An excerpt of what the editor has told; or why there is none."""
    document = session.documents.get(focus.uri) if focus else None
    if focus is None or document is None:
        return otherwise
    path = protocol.home_of(document.uri, session.roots)[1]
    if path and (glob := excluded(path, session.settings.completion.exclude_globs)):
        return f"`{path}` is never shown: `{glob}` in `kruk.completion.excludeGlobs` excludes it"
    return excerpt(path or document.uri.rpartition("/")[2], document, focus) or otherwise


def _selected(title: str, document: Document, focus: Focus) -> Excerpt | None:
    """The selected lines."""
    if focus.range.start == focus.range.end:
        return None
    first, last = focus.range.start.line, focus.range.end.line - (focus.range.end.character == 0)
    lines = unix(document.text).split("\n")[first : max(first, last) + 1]
    language = language_for(document.language_id, document.uri)
    return Excerpt("@selection", title, "\n".join(lines), language.name if language else "", first + 1)


def _diagnostics(title: str, _document: Document, focus: Focus) -> Excerpt | None:
    rows = []
    for raw in focus.diagnostics:
        try:
            found = msgspec.convert(raw, protocol.Diagnostic)
        except msgspec.ValidationError:
            continue
        severity = _SEVERITIES.get(raw.get("severity"), "problem")
        source = f" [{found.source}]" if found.source else ""
        rows.append(f"{title}:{found.range.start.line + 1}: {severity}: {found.text}{source}")
    return Excerpt("@diagnostics", f"diagnostics of {title}", "\n".join(rows)) if rows else None

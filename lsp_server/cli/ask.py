"""`kruk ask`: a question in the terminal, with files, answered as it is thought up. Loads the model itself."""

from __future__ import annotations

import json
import queue
import re
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Annotated

import typer

from lsp_server.chat import mentions
from lsp_server.chat.answer import Answer, answer, note_of
from lsp_server.chat.conversation import Conversation, Prompted, Turn
from lsp_server.chat.excerpt import Excerpt
from lsp_server.chat.markdown import Fences, printable
from lsp_server.chat.mentions import Folder, Resolved, Sources
from lsp_server.cli import options
from lsp_server.cli.console import err, fail, out
from lsp_server.completion.refusal import excluded
from lsp_server.context.index import Index
from lsp_server.context.workspace import Workspace
from lsp_server.errors import KrukError
from lsp_server.model import states
from lsp_server.model.loading import loader_for
from lsp_server.model.states import States
from lsp_server.model.worker import Urgency, Worker
from lsp_server.paths import CacheFolder
from lsp_server.settings import Settings
from lsp_server.syntax.languages import language_for
from lsp_server.text import unix

INDEX_S = 5.0  # for the index of the workspace, when a name is mentioned
LOOK_S = 0.1  # between two looks at Ctrl-C
CTRL_C = 130
MAX_STDIN_CHARS = 1_000_000

_PLACE = re.compile(r"(.+?)(?::(\d+)(?:-(\d+))?)?")


def ask(
    question: Annotated[str, typer.Argument(help="In words, perhaps with @mentions; - reads it from stdin.")],
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE[:A-B]]...", help="Shown to the model; - is stdin.")
    ] = None,
    model: options.Model = "",
    server: options.Server = "",
    allow_non_local: options.AllowNonLocal = False,
    others: options.OtherSettings = "",
    language: Annotated[str, typer.Option("--language", metavar="CODE", help="Of the answer, such as pl.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The answer and what it was made of.")] = False,
) -> None:
    """Ask about code. Ends with 1 when there is no answer, with 130 after Ctrl-C."""
    worker = Worker(lambda _: None)
    try:
        values = options.values_of(model, server, allow_non_local, others)
        settings = options.settings_of(values | ({"answerLanguage": language} if language else {}))
        if [question, *(files or ())].count("-") > 1:
            raise KrukError("stdin can be read once only", "Write `-` for the question or for one file")
        excerpts = [_excerpt(file, settings) for file in files or ()]
        question = _stdin() if question == "-" else question
        if not question.strip():
            raise KrukError("The question is empty", 'Write it in quotes: kruk ask "What does this do?" main.py')
        worker.load(loader_for(settings))
        resolved = _resolve(question, settings)
        turn = Turn("user", question.strip(), (*excerpts, *resolved.excerpts))
        _run(worker, turn, settings, resolved.problems, as_json)
    except KeyboardInterrupt:
        raise typer.Exit(CTRL_C) from None
    except KrukError as error:
        fail(error)
    finally:
        worker.close()


def _run(worker: Worker, turn: Turn, settings: Settings, problems: Sequence[str], as_json: bool) -> None:
    """Have the question answered, and print it while it comes."""
    heard: queue.Queue[str | Prompted] = queue.Queue()
    kept = States(CacheFolder("states", states.DISK_BYTES))  # so the next question about the same files is quick
    work = answer(
        Conversation(),
        [turn],
        kept,
        answer_language=settings.answer_language,
        on_prompt=heard.put,
        on_text=heard.put,
    )
    started = time.perf_counter()
    job = worker.submit(Urgency.CHAT, work)
    printer = _Silent() if as_json else _Pretty() if out.is_terminal else _Plain()
    try:
        _listen(job, heard, problems, printer)
        answered = job.result()
    finally:
        job.cancel()
        printer.end()
    if as_json:
        info = {"model": worker.model.info.name if worker.model else "", "seconds": time.perf_counter() - started}
        out.print_json(json.dumps(answered.as_dict(problems) | info))
    elif answered.ended_by != "model":
        why = "it has its full length" if answered.ended_by == "length" else "it began to repeat itself"
        err.print(f"[dim]The answer was ended: {why}.[/]")
    worker.submit(Urgency.CHAT, kept.flush).result()


def _listen(
    job: Future[Answer], heard: queue.Queue[str | Prompted], problems: Sequence[str], printer: _Silent
) -> None:
    while not (job.done() and heard.empty()):
        try:
            news = heard.get(timeout=LOOK_S)
        except queue.Empty:
            continue
        if isinstance(news, str):
            printer.hear(printable(news))
        elif note := note_of(news, problems):
            printer.note(printable(note))


# -- what is shown to the model ---------------------------------------------------------------------------


def _stdin() -> str:
    return sys.stdin.buffer.read(MAX_STDIN_CHARS).decode("utf-8-sig", "replace")


def _excerpt(place: str, settings: Settings) -> Excerpt:
    """The text of FILE, FILE:A-B or -. Raises KrukError."""
    if place == "-":
        return Excerpt("-", "stdin", unix(_stdin()).rstrip("\n"))
    match = _PLACE.fullmatch(place)
    path, lines = Path(place), None
    if match and match[2] and not path.exists():
        path, lines = Path(match[1]), (int(match[2]), int(match[3] or match[2]))
    if not path.is_file():
        raise KrukError(f"`{path}` is no file", "Check the path")
    for name in (str(path), path.resolve().as_posix()):
        if glob := excluded(name, settings.completion.exclude_globs):
            raise KrukError(f"`{path}` is never shown: `{glob}` excludes it", "Leave it out")
    language = language_for("", str(path))
    return mentions.file_excerpt(place, path, path.as_posix(), lines, language.name if language else "")


def _resolve(question: str, settings: Settings) -> Resolved:
    """Look up what is mentioned; in the index, when it may be a name."""
    found = mentions.mentions(question)
    if not found:
        return Resolved()
    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)
    index = None
    if any(not (here / it.name).is_file() and it.name != "diff" for it in found):
        index = Index(root, settings.completion.exclude_globs)
        index.start()
        index.wait(INDEX_S)
    try:
        folders = [Folder(root, Workspace(index))]
        if here != root:
            folders.insert(0, Folder(here, Workspace(None)))
        return mentions.resolve(question, Sources(folders, settings.completion.exclude_globs))
    finally:
        if index:
            index.stop()


# -- how it is shown to the user --------------------------------------------------------------------------


class _Silent:
    """Shows nothing."""

    def note(self, text: str) -> None:
        """Take the line above the answer."""

    def hear(self, text: str) -> None:
        """Take the next piece."""

    def end(self) -> None:
        """Take the end."""


class _Plain(_Silent):
    """The text as it comes, for a pipe."""

    def __init__(self) -> None:
        self._is_line_open = False

    def note(self, text: str) -> None:
        err.print(text, style="dim", markup=False, soft_wrap=True)

    def hear(self, text: str) -> None:
        typer.echo(text, nl=False)
        sys.stdout.flush()
        self._is_line_open = not text.endswith("\n") if text else self._is_line_open

    def end(self) -> None:
        if self._is_line_open:
            typer.echo()


class _Pretty(_Plain):
    """Markdown, block by block: the one that is being said is drawn anew, those before it stay."""

    def __init__(self) -> None:
        from rich.live import Live
        from rich.markdown import Markdown

        super().__init__()
        self._render: Callable[[str], Markdown] = lambda text: Markdown(text, hyperlinks=False)
        self._block = ""
        self._live = Live(console=out, transient=True, auto_refresh=False)
        self._live.start()

    def hear(self, text: str) -> None:
        self._block += text
        while (end := _block_end(self._block)) > 0:
            done, self._block = self._block[:end], self._block[end:].lstrip("\n")
            self._live.update("", refresh=True)
            out.print(self._render(done), "")
        self._live.update(self._render(self._block), refresh=True)

    def end(self) -> None:
        self._live.update("", refresh=True)
        self._live.stop()
        if self._block.strip():
            out.print(self._render(self._block))


def _block_end(text: str) -> int:
    """Where the first block of a text ends, an empty line outside of code behind it; -1 when it goes on."""
    fences, at = Fences(), 0
    lines = text.split("\n")
    for line in lines[:-1]:
        is_code = fences.see(line)
        if at and not is_code and not line.strip():
            return at
        at += len(line) + 1
    return -1
